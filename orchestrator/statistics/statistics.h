// What a load point's raw records say: percentiles and trtllm-bench's metrics. Pure arithmetic;
// knows no clock, RPC or file.
#pragma once

#include <vector>

#include "absl/types/span.h"
#include "proto/results.pb.h"

namespace regatta {

// `q` in 0..1 of ascending, non-empty `sorted`, linearly interpolated between the two nearest
// samples (NumPy's default).
double Quantile(absl::Span<const double> sorted, double q);

// All zeros for no samples.
Percentiles Summarize(std::vector<double> samples);

// `count` >= 2 quantiles at even steps from the minimum to the maximum, ascending; none for no
// samples.
std::vector<double> EvenQuantiles(std::vector<double> samples, size_t count);

// What one load point left behind.
struct PointSamples {
  std::vector<RequestRecord> requests;  // every issued one, failed ones (`error` set) included
  std::vector<float> gaps_ms;           // time between two deltas / tokens of the later one
};

// Completes `context`, which brings engine, machine, world_info (without issue_rate),
// dataset.dataset_path and what only the caller knows under `regatta` (concurrency, streaming,
// device, cluster state, warnings).
//
// With n output tokens, start = sent, end = last token of each completed request and T = last end -
// first start:
//   throughputs are counts / T; per-GPU is divided by world_size; latency = end - start; TTFT =
//   first token - start; TPOT = (latency - TTFT)/(n-1); user speed = (n-1)/(latency - TTFT); user
//   throughput = n / latency; concurrency = sum of latencies / T (Little). Means are over requests.
//   Sources: trtllm-bench reporting.py and statistics.py.
// streaming_metrics stays absent unless context.regatta().streaming(). Failed requests are counted,
// with their messages, and enter no other figure.
PointReport CompletePoint(PointReport context, const PointSamples& samples);

}  // namespace regatta
