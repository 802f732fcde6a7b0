// Judgement of loads by their runs; see users_at_speed.h.
#include "orchestrator/statistics/users_at_speed.h"

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "orchestrator/statistics/load_name.h"
#include "orchestrator/statistics/missed_condition.h"
#include "orchestrator/statistics/repeats.h"
#include "orchestrator/statistics/search_role.h"

namespace regatta {
namespace {

// The runs of the point that speak for its users.
std::vector<const PointReport*> RunsThatCount(const SweepReport& sweep, const PointReport& point) {
  std::vector<const PointReport*> confirming, others;
  for (const PointReport* run : RunsOfPoint(sweep, point)) {
    const std::string& role = run->regatta().search_role();
    if (role == kConfirmRole) confirming.push_back(run);
    if (role != kConfirmRole && role != kOverloadRole) others.push_back(run);
  }
  return confirming.empty() ? others : confirming;
}

}  // namespace

UsersAtSpeed FindUsersAtSpeed(const SweepReport& sweep, double speed_tok_s, double max_ttft_ms) {
  UsersAtSpeed result;
  result.set_speed_tok_s(speed_tok_s);
  result.set_max_ttft_ms(max_ttft_ms);
  for (const PointReport& point : sweep.points()) {
    if (!IsClosedLoop(point.regatta())) continue;
    std::vector<Missed> runs;
    for (const PointReport* run : RunsThatCount(sweep, point)) {
      runs.push_back(MissedCondition(*run, speed_tok_s, max_ttft_ms));
    }
    if (runs.empty()) continue;
    const uint32_t users = point.regatta().concurrency();
    const Missed missed = MissedByMost(runs);
    if (missed.empty()) {
      result.set_users(users);
      result.clear_limited_by();
    } else if (result.limited_by().empty()) {
      result.set_limited_by(absl::StrCat("c=", users, ": ", missed.text));
    }
  }
  return result;
}

}  // namespace regatta
