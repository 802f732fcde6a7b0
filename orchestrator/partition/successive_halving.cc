// Budgets and survivors; see successive_halving.h.
#include "orchestrator/partition/successive_halving.h"

#include <algorithm>

namespace regatta {

std::vector<size_t> RoundPoints(size_t points, uint32_t round) {
  const size_t wanted = (size_t{2} << std::min(round, 30u)) + 1;
  std::vector<size_t> chosen;
  if (points <= wanted) {
    for (size_t i = 0; i < points; ++i) chosen.push_back(i);
    return chosen;
  }
  for (size_t i = 0; i < wanted; ++i) chosen.push_back(i * (points - 1) / (wanted - 1));
  return chosen;
}

uint32_t RoundRequests(uint32_t full, uint32_t concurrency, uint32_t round, uint32_t rounds) {
  const uint32_t halvings = std::min(rounds - std::min(round, rounds), 31u);
  return std::max({full >> halvings, concurrency, 1u});
}

std::vector<bool> Survivors(const std::vector<SpeedFrontier>& frontiers, double margin) {
  const std::vector<double> shortfalls = Shortfalls(frontiers);
  std::vector<double> ranked;
  for (size_t i = 0; i < frontiers.size(); ++i) {
    if (!frontiers[i].empty()) ranked.push_back(shortfalls[i]);
  }
  if (ranked.empty()) return std::vector<bool>(frontiers.size(), false);
  std::sort(ranked.begin(), ranked.end());
  const double worst_kept = std::max(margin, ranked[(ranked.size() - 1) / 2]);
  std::vector<bool> survives;
  for (size_t i = 0; i < frontiers.size(); ++i) {
    survives.push_back(!frontiers[i].empty() &&
                       (shortfalls[i] <= worst_kept || frontiers[i].client_bound()));
  }
  return survives;
}

}  // namespace regatta
