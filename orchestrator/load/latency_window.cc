// Collecting and forgetting; see latency_window.h.
#include "orchestrator/load/latency_window.h"

#include <algorithm>

#include "orchestrator/statistics/quantiles.h"

namespace regatta {

void LatencyWindow::Look(size_t thread, const RecentValues& values, int64_t now_ns) {
  std::vector<double> fresh;
  seen_[thread] = values.Since(seen_[thread], fresh);
  for (double ms : fresh) values_.push_back({now_ns, ms});
}

RecentLatency LatencyWindow::Summary(int64_t now_ns) {
  while (!values_.empty() && now_ns - values_.front().time_ns > kRecentNs) values_.pop_front();
  if (values_.empty()) return {};
  std::vector<double> sorted;
  for (const Value& value : values_) sorted.push_back(value.ms);
  std::sort(sorted.begin(), sorted.end());
  return {static_cast<uint32_t>(sorted.size()), Quantile(sorted, 0.50), Quantile(sorted, 0.95)};
}

}  // namespace regatta
