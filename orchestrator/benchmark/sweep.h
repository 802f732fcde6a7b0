// Which load points a sweep measures, with how many requests, and how long that will take. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace regatta {

inline constexpr uint32_t kMaxConcurrency = 65536;

// "1,2,4", "1:1024:x2" (multiply), "1:16:+1" (add), or a comma-separated mix, into ascending
// distinct points. The end of a range is included when the steps meet it. INVALID_ARGUMENT names
// the part, its value and the limit.
absl::StatusOr<std::vector<uint32_t>> ParseConcurrency(absl::string_view text);

// Requests of a point: `asked`, or when that is 0 ten per concurrent user and at least 32, below
// which percentiles mean little. INVALID_ARGUMENT for fewer requests than concurrency.
absl::StatusOr<uint32_t> RequestsAt(uint32_t concurrency, uint32_t asked);

struct LoadPoint {
  uint32_t concurrency = 0;  // of an open loop: the most at once; 0 = unlimited
  uint32_t requests = 0;
  double request_rate = 0;  // per second, infinity = all at once; 0 = closed loop
};

// One load to be measured.
struct PlannedLoad {
  LoadPoint point;
  uint32_t repeat = 1;     // which run of its point, from 1
  bool unlimited = false;  // everything is sent at once: no concurrency is on record
  uint32_t longer = 1;     // times the usual limit of its time
  std::string role;        // what a search wants of it (RegattaInfo.search_role); empty = none
};
absl::StatusOr<std::vector<LoadPoint>> PlanPoints(const std::vector<uint32_t>& concurrencies,
                                                  uint32_t asked_requests);

// How fast the system was under a load.
struct SpeedSample {
  uint32_t concurrency = 1;
  double requests_per_s = 0;
  double latency_s = 0;  // mean of one request
};

struct TimeEstimate {
  double low_s = 0;   // latency stays what it is however many run together
  double high_s = 0;  // throughput stays what it is however many run together
};

// For `points`, each from the one of `samples` (not empty) with the most similar concurrency, the
// latest of equal ones, and cut at `max_s_per_point` (plus one latency, for what still runs); 0 =
// no cut.
TimeEstimate EstimateSeconds(const std::vector<LoadPoint>& points,
                             absl::Span<const SpeedSample> samples, double max_s_per_point);

// "45 s", "3 min", "1 h 20 min".
std::string FormatSeconds(double seconds);

}  // namespace regatta
