// Columns and moments of requests; see request_columns.h.
#include "orchestrator/formats/request_columns.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "orchestrator/statistics/quantiles.h"
#include "orchestrator/statistics/request_times.h"

namespace regatta {
std::vector<RequestRecord> RequestsOf(const StoredRun& run, const PointReport& point) {
  std::vector<RequestRecord> requests;
  const uint32_t number = point.regatta().run_number();
  if (number == 0) return requests;
  for (const RequestRecord& record : run.requests) {
    if (record.run_number() == number) requests.push_back(record);
  }
  std::stable_sort(requests.begin(), requests.end(),
                   [](const auto& a, const auto& b) { return a.sent_ms() < b.sent_ms(); });
  return requests;
}

bool HasTokenTimes(absl::Span<const RequestRecord> requests) {
  return std::any_of(requests.begin(), requests.end(),
                     [](const RequestRecord& r) { return r.first_token_ms() > 0; });
}

RequestColumns ColumnsOf(absl::Span<const RequestRecord> requests) {
  RequestColumns columns;
  for (const RequestRecord& r : requests) {
    if (!Completed(r)) continue;
    columns.latency_ms.push_back(LatencyMs(r));
    columns.input_tokens.push_back(r.input_tokens());
    columns.output_tokens.push_back(r.output_tokens());
    if (r.first_token_ms() <= 0) continue;
    columns.ttft_ms.push_back(TtftMs(r));
    if (const auto tpot_ms = TpotMs(r)) columns.tpot_ms.push_back(*tpot_ms);
    if (const auto speed_tok_s = SpeedTokS(r)) columns.speed_tok_s.push_back(*speed_tok_s);
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
