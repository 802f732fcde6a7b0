// A strict reader of Prometheus' text format, version 0.0.4, as what scrapes us understands it.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace regatta::testing {

using MetricLabels = std::map<std::string, std::string>;

struct MetricSample {
  std::string name;  // with _bucket, _sum or _count
  MetricLabels labels;
  double value = 0;
};

struct ParsedFamily {
  std::string type;
  std::string help;
  std::vector<MetricSample> samples;
};

class ParsedMetrics {
 public:
  std::map<std::string, ParsedFamily> families;

  // The sum of the samples of that name whose labels include `labels`; NaN when there is none.
  double Sum(const std::string& sample, const MetricLabels& labels = {}) const;
};

// INVALID_ARGUMENT names the line and what is wrong: a sample outside its family, a name or label
// that is none, the same series twice, a counter below zero, a histogram whose buckets do not
// ascend, or do not end in +Inf and _count.
absl::StatusOr<ParsedMetrics> ParseMetrics(const std::string& text);

}  // namespace regatta::testing
