// Means and quantiles of samples.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "absl/types/span.h"
#include "proto/results.pb.h"

namespace regatta {

// 0 for no samples.
double Mean(absl::Span<const double> samples);

// 0 where the denominator is not positive.
double Ratio(double numerator, double denominator);

// `q` in 0..1 of ascending, non-empty `sorted`, linearly interpolated between the two nearest
// samples (NumPy's default).
double Quantile(absl::Span<const double> sorted, double q);

// The same of samples in any order; 0 for none.
double QuantileOf(std::vector<double> samples, double q);

// `count` >= 2 quantiles at even steps from the minimum to the maximum, ascending; none for no
// samples.
std::vector<double> EvenQuantiles(std::vector<double> samples, size_t count);

// All zeros for no samples.
Percentiles Summarize(std::vector<double> samples);

// The same by trtllm-bench's rule: the sample at floor(n q) of the n ascending ones.
Percentiles SummarizeBySample(std::vector<double> samples);

// A value that stands for `count` equal samples.
struct CountedSample {
  float value;
  uint32_t count;
};

// Summarize of all that the counts stand for, in the memory of the pairs.
Percentiles SummarizeCounted(std::vector<CountedSample> samples);

}  // namespace regatta
