// Little's law and what came before; see time_left.h.
#include "orchestrator/benchmark/time_left.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "orchestrator/benchmark/journal.h"

namespace regatta {
namespace {

// How the load goes: as many requests as are in flight take so long as ending them does (Little).
SpeedSample SpeedOf(const LoadProgress& progress, uint32_t done) {
  const double per_s = done / progress.elapsed_s;
  return {std::max(1u, progress.in_flight), per_s, progress.in_flight / per_s};
}

}  // namespace

std::optional<TimeLeft> EstimateTimeLeft(const LoadProgress& progress, const RunAhead& ahead) {
  const uint32_t done = progress.completed + progress.failed;
  if (done == 0 || done >= progress.total || progress.elapsed_s <= 0) return std::nullopt;
  TimeLeft left;
  left.load_s = progress.elapsed_s / done * (progress.total - done);
  if (ahead.max_s_per_point > 0) {
    left.load_s = std::min(left.load_s, std::max(0.0, ahead.max_s_per_point - progress.elapsed_s));
  }
  std::vector<LoadPoint> following = ahead.after;
  following.insert(following.end(), ahead.expected.begin(), ahead.expected.end());
  left.about = !ahead.expected.empty();
  if (following.empty()) return left;
  std::vector<SpeedSample> known = ahead.known;
  // Before everybody has had a turn, those that ended say too little of those that have not.
  if (done >= progress.in_flight) known.push_back(SpeedOf(progress, done));
  if (known.empty()) return left;
  left.run = EstimateSeconds(following, known, ahead.max_s_per_point);
  left.run->low_s += left.load_s + ahead.beside_s;
  left.run->high_s += left.load_s + ahead.beside_s;
  return left;
}

std::vector<SpeedSample> SpeedsOf(const SweepReport& sweep) {
  std::vector<SpeedSample> speeds;
  for (const PointReport& run : MeasuredRuns(sweep)) {
    if (run.request_info().num_requests() == 0) continue;
    const uint32_t asked = run.regatta().concurrency();
    speeds.push_back({asked > 0 ? asked : run.regatta().issued_requests(),
                      run.performance().request_throughput_req_s(),
                      run.performance().avg_request_latency_ms() / 1e3});
  }
  return speeds;
}

std::string FormatRange(const TimeEstimate& estimate, bool about) {
  const std::string low = FormatSeconds(estimate.low_s), high = FormatSeconds(estimate.high_s);
  return absl::StrCat(about ? "about " : "", low == high ? low : absl::StrCat(low, " to ", high));
}

std::string FormatAhead(const std::vector<LoadPoint>& points, TimeEstimate estimate,
                        double beside_s, bool about) {
  uint64_t requests = 0;
  for (const LoadPoint& point : points) requests += point.requests;
  estimate.low_s += beside_s;
  estimate.high_s += beside_s;
  return absl::StrFormat("%s%d %s, %d requests: %s\n", about ? "about " : "", points.size(),
                         points.size() == 1 ? "point" : "points", requests,
                         FormatRange(estimate, about));
}

}  // namespace regatta
