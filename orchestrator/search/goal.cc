// Goals and their bounds; see goal.h.
#include "orchestrator/search/goal.h"

#include <algorithm>
#include <limits>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "orchestrator/report/frontier.h"

namespace regatta {
namespace {

constexpr double kUsualUserSpeed = 50;  // the article's: 20 ms between tokens
constexpr double kUsualMaxTtftMs = 2000;
constexpr double kFastFirstTokenMs = 500;

std::string Bounds(const Goal& goal) {
  std::vector<std::string> bounds;
  if (goal.min_user_speed > 0) {
    bounds.push_back(absl::StrFormat("at least %g tok/s each", goal.min_user_speed));
  }
  if (goal.max_ttft_ms > 0) {
    bounds.push_back(absl::StrFormat("95 %% of first tokens within %g ms", goal.max_ttft_ms));
  }
  return absl::StrJoin(bounds, " and ");
}

// No bound is as good as infinity.
double MaxTtftMs(const Goal& goal) {
  return goal.max_ttft_ms > 0 ? goal.max_ttft_ms : std::numeric_limits<double>::infinity();
}

}  // namespace

absl::StatusOr<Goal> MakeGoal(absl::string_view name, std::optional<double> min_user_speed,
                              std::optional<double> max_ttft_ms) {
  Goal goal{.min_user_speed = min_user_speed.value_or(0), .max_ttft_ms = max_ttft_ms.value_or(0)};
  if (name == "user-speed") {
    goal = {Goal::Kind::kUserSpeed, min_user_speed.value_or(kUsualUserSpeed),
            max_ttft_ms.value_or(kUsualMaxTtftMs)};
  } else if (name == "throughput") {
    goal.kind = Goal::Kind::kThroughput;
  } else if (name == "ttft") {
    goal.kind = Goal::Kind::kTtft;
    goal.max_ttft_ms = max_ttft_ms.value_or(kFastFirstTokenMs);
  } else {
    return absl::InvalidArgumentError(
        absl::StrCat("--goal '", name,
                     "': must be user-speed (most users at a speed), throughput "
                     "(most tokens per GPU) or ttft (most users whose first "
                     "token comes in time)"));
  }
  return goal;
}

std::string GoalName(const Goal& goal) {
  switch (goal.kind) {
    case Goal::Kind::kUserSpeed:
      return "user-speed";
    case Goal::Kind::kThroughput:
      return "throughput";
    case Goal::Kind::kTtft:
      return "ttft";
  }
  return "";
}

std::string DescribeGoal(const Goal& goal) {
  const bool throughput = goal.kind == Goal::Kind::kThroughput;
  return absl::StrCat(throughput ? "most output tokens per second and GPU" : "most users",
                      IsBounded(goal) ? " with " : "", Bounds(goal));
}

bool IsBounded(const Goal& goal) { return goal.min_user_speed > 0 || goal.max_ttft_ms > 0; }

Missed MissedBy(const Goal& goal, const PointReport& point) {
  if (!IsBounded(goal)) return MissedByFailures(point);
  return MissedCondition(point, goal.min_user_speed, MaxTtftMs(goal));
}

bool OnlyTooShort(const Goal& goal, const PointReport& point) {
  return IsBounded(goal) && OnlyTooShort(point, goal.min_user_speed, MaxTtftMs(goal));
}

MeasuredLoad AsMeasuredLoad(const PointReport& point, absl::Span<const Goal> goals) {
  MeasuredLoad load;
  load.concurrency = point.regatta().concurrency();
  load.throughput = GpuThroughput(point);
  load.user_speed = UserSpeed(point);
  for (const Goal& goal : goals) {
    if (IsBounded(goal)) load.meets.push_back(MissedBy(goal, point).empty());
  }
  return load;
}

const PointReport* BestPoint(const Goal& goal, absl::Span<const PointReport* const> points) {
  std::vector<const PointReport*> holding;
  double best_throughput = 0;
  for (const PointReport* point : points) {
    if (!MissedBy(goal, *point).empty()) continue;
    holding.push_back(point);
    best_throughput = std::max(best_throughput, GpuThroughput(*point));
  }
  const bool throughput = goal.kind == Goal::Kind::kThroughput;
  const PointReport* best = nullptr;
  for (const PointReport* point : holding) {
    if (throughput && GpuThroughput(*point) < kKneeThroughput * best_throughput) continue;
    const bool larger =
        best != nullptr && point->regatta().concurrency() > best->regatta().concurrency();
    if (best == nullptr || larger != throughput) best = point;
  }
  return best;
}

}  // namespace regatta
