// Judgement of loads; see users_at_speed.h.
#include "orchestrator/statistics/users_at_speed.h"

#include "absl/strings/str_cat.h"
#include "orchestrator/statistics/missed_condition.h"

namespace regatta {
UsersAtSpeed FindUsersAtSpeed(const SweepReport& sweep, double speed_tok_s, double max_ttft_ms) {
  UsersAtSpeed result;
  result.set_speed_tok_s(speed_tok_s);
  result.set_max_ttft_ms(max_ttft_ms);
  for (const PointReport& point : sweep.points()) {
    // Users are those of a closed loop: who comes by the clock is not one of `concurrency`.
    if (!point.has_streaming_metrics() || point.regatta().concurrency() == 0) continue;
    if (point.regatta().load().request_rate() > 0) continue;
    const Missed missed = MissedCondition(point, speed_tok_s, max_ttft_ms);
    if (missed.empty()) {
      result.set_users(point.regatta().concurrency());
      result.clear_limited_by();
    } else if (result.limited_by().empty()) {
      result.set_limited_by(
          absl::StrCat("c=", point.regatta().concurrency(), ": ", missed.text));
    }
  }
  return result;
}

}  // namespace regatta
