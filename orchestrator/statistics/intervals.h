// Confidence intervals of means and ratios.
#pragma once

#include <google/protobuf/repeated_ptr_field.h>

#include <optional>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "proto/results.pb.h"

namespace regatta {

// The 95 % interval of the mean of independent samples: mean +- t_{0.975, n-1} s / sqrt(n)
// (Student 1908). Empty below two samples.
std::optional<Interval> MeanInterval(const std::string& metric, absl::Span<const double> samples);

// The same for correlated samples in the order of time, from the means of ten batches of
// neighbours, which hardly are (Conway 1963). Each batch counts by its size, which differ by one at
// most: sum of n_b (m_b - m)^2 / 9 is Fisher's mean square between classes (Statistical Methods for
// Research Workers, 1925), so m is the mean of all samples. Empty below 30 samples.
std::optional<Interval> BatchMeansInterval(const std::string& metric,
                                           absl::Span<const double> samples);

// The same for sum(numerators) / sum(denominators), of as many each: batches of neighbours, each
// with what its numerators miss of that ratio (Cochran 1977, ratio estimator). Empty also where the
// denominators sum up to nothing.
std::optional<Interval> BatchRatioInterval(const std::string& metric,
                                           absl::Span<const double> numerators,
                                           absl::Span<const double> denominators);

// The one of that metric; null where there is none.
const Interval* FindInterval(const google::protobuf::RepeatedPtrField<Interval>& intervals,
                             absl::string_view metric);

}  // namespace regatta
