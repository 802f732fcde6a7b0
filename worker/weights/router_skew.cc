// Popularity to scales through the normal distribution; see router_skew.h.
#include "worker/weights/router_skew.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "kernels/dummy_values.h"

namespace regatta {
namespace {

// The x that a standard normal variable exceeds with probability `p` in (0, 0.5].
double ExceededWith(double p) {
  double low = 0, high = 40;
  for (int i = 0; i < 100; ++i) {
    const double middle = (low + high) / 2;
    const double tail = std::erfc(middle / std::sqrt(2.0)) / 2;
    (tail > p ? low : high) = middle;
  }
  return low;
}

// Experts in order of popularity.
std::vector<int> Ranking(int experts, uint64_t key) {
  std::vector<int> order(experts);
  std::iota(order.begin(), order.end(), 0);
  std::sort(order.begin(), order.end(), [&](int a, int b) {
    return MixBits(key + static_cast<uint64_t>(a)) < MixBits(key + static_cast<uint64_t>(b));
  });
  return order;
}

}  // namespace

// Shares above the limit are cut, and the rest grows to fill what is missing.
std::vector<double> ExpertPopularity(int experts, int experts_per_token, double skew) {
  std::vector<double> weights(experts), shares(experts);
  for (int rank = 0; rank < experts; ++rank) weights[rank] = std::pow(rank + 1.0, -skew);
  double left = experts_per_token;
  for (int first = 0; first < experts; ++first) {
    const double sum = std::accumulate(weights.begin() + first, weights.end(), 0.0);
    for (int rank = first; rank < experts; ++rank) shares[rank] = left * weights[rank] / sum;
    if (shares[first] <= kMostPopular) break;
    shares[first] = kMostPopular;
    left -= kMostPopular;
  }
  return shares;
}

std::vector<float> RouterRowScales(int experts, int experts_per_token, double skew, uint64_t key) {
  std::vector<float> scales(experts, 1);
  const double mean = 1.0 * experts_per_token / experts;
  if (skew == 0 || mean >= kMostPopular) return scales;
  const std::vector<double> shares = ExpertPopularity(experts, experts_per_token, skew);
  // A logit of scale s exceeds t as often as a standard one exceeds t / s; t is what equal experts
  // would have to exceed, so that scales are around 1.
  const double threshold = ExceededWith(mean);
  const std::vector<int> order = Ranking(experts, key);
  for (int rank = 0; rank < experts; ++rank) {
    scales[order[rank]] = static_cast<float>(threshold / ExceededWith(shares[rank]));
  }
  return scales;
}

}  // namespace regatta
