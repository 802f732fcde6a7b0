// Straight lines and a search on them; see search_forecast.h.
#include "orchestrator/search/search_forecast.h"

#include <algorithm>

#include "orchestrator/report/frontier.h"

namespace regatta {
namespace {

// A load as far as it is extrapolated.
struct Seen {
  double users = 0;
  double token_s = 0;          // time of a token
  double ttft_ms = 0;          // 95 % quantile
  double tokens_per_turn = 0;  // throughput x token_s / users: what of a user's time is not tokens
};

std::vector<Seen> SeenOf(absl::Span<const PointReport* const> runs) {
  std::vector<Seen> seen;
  for (const PointReport* run : runs) {
    if (UserSpeed(*run) <= 0) continue;
    Seen load = {1.0 * run->regatta().concurrency(), 1 / UserSpeed(*run),
                 run->regatta().p95_ttft_ms()};
    load.tokens_per_turn = GpuThroughput(*run) * load.token_s / load.users;
    seen.push_back(load);
  }
  std::sort(seen.begin(), seen.end(),
            [](const Seen& a, const Seen& b) { return a.users < b.users; });
  return seen;
}

// On the line through `a` and `b`, which does not fall: fewer users are no slower.
double Along(double a_users, double a, double b_users, double b, double users) {
  const double slope = std::max(0.0, (b - a) / (b_users - a_users));
  return users < b_users ? std::max(a + slope * (users - a_users), std::min(a, b))
                         : b + slope * (users - b_users);
}

// `seen` has at least two loads, ascending.
Seen Predict(const std::vector<Seen>& seen, double users) {
  const auto above = std::find_if(seen.begin() + 1, seen.end() - 1,
                                  [&](const Seen& load) { return load.users >= users; });
  const Seen &a = *(above - 1), &b = *above;
  return {users, Along(a.users, a.token_s, b.users, b.token_s, users),
          Along(a.users, a.ttft_ms, b.users, b.ttft_ms, users), b.tokens_per_turn};
}

MeasuredLoad AsLoad(const Seen& load, absl::Span<const Goal> goals) {
  MeasuredLoad predicted;
  predicted.concurrency = static_cast<uint32_t>(load.users);
  predicted.user_speed = 1 / load.token_s;
  predicted.throughput = load.users * load.tokens_per_turn / load.token_s;
  for (const Goal& goal : goals) {
    if (!IsBounded(goal)) continue;
    predicted.meets.push_back(predicted.user_speed >= goal.min_user_speed &&
                              (goal.max_ttft_ms <= 0 || load.ttft_ms <= goal.max_ttft_ms));
  }
  return predicted;
}

// The largest load that meets the first goal; the knee where it has no bound.
uint32_t BestOf(const std::vector<MeasuredLoad>& loads) {
  uint32_t best = 0;
  for (const MeasuredLoad& load : loads) {
    if (load.meets.empty()) return KneeOf(loads);
    if (load.meets.front()) best = std::max(best, load.concurrency);
  }
  return best;
}

}  // namespace

SearchForecast ForecastSearch(const SearchLimits& limits, absl::Span<const Goal> goals,
                              absl::Span<const PointReport* const> runs) {
  SearchForecast forecast;
  const std::vector<Seen> seen = SeenOf(runs);
  if (seen.size() < 2) return forecast;
  std::vector<MeasuredLoad> loads;
  for (const PointReport* run : runs) loads.push_back(AsMeasuredLoad(*run, goals));
  for (;;) {
    const NextLoad next = ChooseNextLoad(limits, loads);
    if (!next.concurrency) break;
    forecast.loads.push_back(*next.concurrency);
    loads.push_back(AsLoad(Predict(seen, *next.concurrency), goals));
  }
  for (const MeasuredLoad& load : loads) forecast.searched.push_back(load.concurrency);
  std::sort(forecast.searched.begin(), forecast.searched.end());
  forecast.best = BestOf(loads);
  return forecast;
}

}  // namespace regatta
