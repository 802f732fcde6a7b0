// Columns and moments of requests; see request_columns.h.
#include "orchestrator/formats/request_columns.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "orchestrator/statistics/statistics.h"

namespace regatta {
std::vector<RequestRecord> RequestsOf(const StoredRun& run, const PointReport& point) {
  const uint32_t issued = point.regatta().issued_requests();
  // All at once is recorded as concurrency 0 of a point whose requests tell how many there were.
  const bool only_point = run.sweep.points_size() == 1;
  std::vector<RequestRecord> requests;
  for (const RequestRecord& record : run.requests) {
    if (only_point || record.concurrency() == point.regatta().concurrency()) {
      requests.push_back(record);
    }
  }
  if (issued > 0 && requests.size() != issued) return {};
  std::stable_sort(requests.begin(), requests.end(),
                   [](const auto& a, const auto& b) { return a.sent_ms() < b.sent_ms(); });
  return requests;
}

RequestColumns ColumnsOf(absl::Span<const RequestRecord> requests) {
  RequestColumns columns;
  for (const RequestRecord& r : requests) {
    if (!r.error().empty()) continue;
    const double latency = r.last_token_ms() - r.sent_ms();
    columns.latency_ms.push_back(latency);
    columns.input_tokens.push_back(r.input_tokens());
    columns.output_tokens.push_back(r.output_tokens());
    if (r.first_token_ms() <= 0) continue;
    const double ttft = r.first_token_ms() - r.sent_ms();
    columns.ttft_ms.push_back(ttft);
    if (r.output_tokens() < 2) continue;
    const double steps = r.output_tokens() - 1.0;
    columns.tpot_ms.push_back((latency - ttft) / steps);
    if (latency > ttft) columns.speed_tok_s.push_back(steps * 1e3 / (latency - ttft));
  }
  return columns;
}

Distribution::Distribution(std::vector<double> samples) : sorted_(std::move(samples)) {
  std::sort(sorted_.begin(), sorted_.end());
  sum_ = std::accumulate(sorted_.begin(), sorted_.end(), 0.0);
}

double Distribution::Deviation(int freedom) const {
  const double divisor = static_cast<double>(sorted_.size()) - freedom;
  if (divisor <= 0) return 0;
  double squares = 0;
  for (double sample : sorted_) squares += (sample - mean()) * (sample - mean());
  return std::sqrt(squares / divisor);
}

double Distribution::At(double q) const { return sorted_.empty() ? 0 : Quantile(sorted_, q); }

}  // namespace regatta
