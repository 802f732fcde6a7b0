// A finished run, and the values of single requests behind its points. Pure.
#pragma once

#include <vector>

#include "absl/types/span.h"
#include "proto/results.pb.h"

namespace regatta {

struct StoredRun {
  SweepReport sweep;
  std::vector<RequestRecord> requests;  // of all points; empty when the run kept none
};

// The issued requests of a point, in the order in which they were sent; none where the run does not
// tell them apart.
std::vector<RequestRecord> RequestsOf(const StoredRun& run, const PointReport& point);

// Whether any of them has a time of its first token: not those of a run without streaming.
bool HasTokenTimes(absl::Span<const RequestRecord> requests);

// One entry per completed request, in the order given; TPOT and speed only of requests with two
// tokens or more. Milliseconds, tokens and tokens per second; formulas as in statistics.h.
struct RequestColumns {
  std::vector<double> latency_ms, ttft_ms, tpot_ms, speed_tok_s, input_tokens, output_tokens;
};
RequestColumns ColumnsOf(absl::Span<const RequestRecord> requests);

// Moments and quantiles of samples, as NumPy defines them.
class Distribution {
 public:
  explicit Distribution(std::vector<double> samples);

  size_t count() const { return sorted_.size(); }
  double sum() const { return sum_; }
  double mean() const { return sorted_.empty() ? 0 : sum_ / sorted_.size(); }
  // With divisor count - `freedom`; 0 when that is not positive.
  double Deviation(int freedom) const;
  // `q` in 0..1, linearly interpolated; 0 for no samples.
  double At(double q) const;

 private:
  std::vector<double> sorted_;
  double sum_ = 0;
};

}  // namespace regatta
