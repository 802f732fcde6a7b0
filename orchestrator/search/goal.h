// What a server is tuned for, and which measured load serves it best. Pure.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "orchestrator/search/adaptive_search.h"
#include "orchestrator/statistics/missed_condition.h"
#include "proto/results.pb.h"

namespace regatta {

struct Goal {
  enum class Kind {
    kUserSpeed,   // most users that get a speed each
    kThroughput,  // most output tokens per second and GPU, within the bounds if there are any
    kTtft,        // most users whose first token comes in time
  };
  Kind kind = Kind::kUserSpeed;
  double min_user_speed = 0;  // tok/s, mean and slowest twentieth; 0 = no bound
  double max_ttft_ms = 0;     // 95 % quantile; 0 = no bound
};

// The goal of that name with its bounds; what is not given is 50 tok/s and 2 s for user-speed, 500
// ms for ttft, and no bound else. INVALID_ARGUMENT names the goals there are.
absl::StatusOr<Goal> MakeGoal(absl::string_view name, std::optional<double> min_user_speed,
                              std::optional<double> max_ttft_ms);
// "user-speed", "throughput", "ttft".
std::string GoalName(const Goal& goal);
// "most users with at least 50 tok/s each and 95 % of their first tokens within 2000 ms".
std::string DescribeGoal(const Goal& goal);
bool IsBounded(const Goal& goal);

// The first bound that the point misses (missed_condition.h has the conditions, among them that the
// users really run at once), empty when it holds all. Without bounds only failures count.
Missed MissedBy(const Goal& goal, const PointReport& point);

// Whether a bound may hold but the point is too short to tell how many users ran.
bool OnlyTooShort(const Goal& goal, const PointReport& point);

// A point as the search sees it: one objective per bounded goal of `goals`.
MeasuredLoad AsMeasuredLoad(const PointReport& point, absl::Span<const Goal> goals);

// The point of the closed loop that serves the goal best: the largest concurrency that holds the
// bounds; for throughput the smallest one with at least kKneeThroughput of the best that holds
// them. Null when none does.
const PointReport* BestPoint(const Goal& goal, absl::Span<const PointReport* const> points);

}  // namespace regatta
