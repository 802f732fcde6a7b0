// The figures that two runs are compared by, with the names that --fail-if takes.
#pragma once

#include <string>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "proto/results.pb.h"

namespace regatta {

struct ComparedMetric {
  const char* name;
  const char* unit;
  bool higher_is_better;
  bool headline;                           // in tables by default
  double (*of)(const PointReport& point);  // 0 where the point does not have it
  // The same from when requests were sent, of what `of` may take from when they were due; else
  // null.
  double (*of_sent)(const PointReport& point) = nullptr;
  bool may_be_zero = false;  // a run that has it
};

absl::Span<const ComparedMetric> ComparedMetrics();

// Null for an unknown name.
const ComparedMetric* FindComparedMetric(absl::string_view name);

// Their names, separated by commas.
std::string ComparedMetricNames();

}  // namespace regatta
