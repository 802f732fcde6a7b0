// Load points over the request rate: what a sweep of open loops measures. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "orchestrator/benchmark/sweep.h"

namespace regatta {

// "2", "0.5,1,2", "1:16:x2" (multiply) or "1:4:+0.5" (add), into ascending distinct requests per
// second; "inf" = all at once. INVALID_ARGUMENT names the part and its value.
absl::StatusOr<std::vector<double>> ParseRequestRates(absl::string_view text);

// Points of open loops with at most `concurrency` requests at once (0 = unlimited). Requests of a
// point: `asked`, or when that is 0 those of half a minute, at least 100 and at most 100,000.
std::vector<LoadPoint> PlanRates(const std::vector<double>& rates, uint32_t concurrency,
                                 uint32_t asked_requests);

}  // namespace regatta
