// Conditions of a point; see users_at_speed.h.
#include "orchestrator/statistics/users_at_speed.h"

#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "orchestrator/statistics/user_speed.h"

namespace regatta {
namespace {

constexpr double kReallyRunning = 0.95;

// What the users would notice.
std::string MissedFigure(const PointReport& point, double speed_tok_s, double max_ttft_ms) {
  const RegattaInfo& info = point.regatta();
  const double speed = DecodingSpeed(point);
  if (info.failed_requests() > 0) {
    return absl::StrFormat("failed requests: %d", info.failed_requests());
  }
  if (!point.has_streaming_metrics()) return "answers came whole: no token has a time";
  if (speed < speed_tok_s) {
    return absl::StrFormat("mean speed %.1f tok/s, below %g", speed, speed_tok_s);
  }
  if (info.p5_user_speed_tok_s() < speed_tok_s) {
    return absl::StrFormat("p5 speed %.1f tok/s, below %g", info.p5_user_speed_tok_s(),
                           speed_tok_s);
  }
  if (info.p95_ttft_ms() > max_ttft_ms) {
    return absl::StrFormat("p95 TTFT %.0f ms, above %g", info.p95_ttft_ms(), max_ttft_ms);
  }
  return "";
}

// Sequences that ran, averaged over the whole run; requests in flight where the server tells none.
double RanInAll(const PointReport& point) {
  const double running = point.regatta().mean_running();
  return running > 0 ? running : point.request_info().avg_num_concurrent_requests();
}

// Whether as many ran as were asked.
std::string MissedUsers(const PointReport& point) {
  const RegattaInfo& info = point.regatta();
  const OfferedLoad& offered = info.offered();
  if (!offered.too_short().empty()) {
    return absl::StrFormat("too short to tell how many of %d ran: %s", info.concurrency(),
                           offered.too_short());
  }
  const double ran = info.has_offered() ? offered.mean_running() : RanInAll(point);
  const double least = kReallyRunning * info.concurrency();
  if (ran >= least) return "";
  std::string where;
  if (info.has_offered()) {
    where = absl::StrFormat(" %s (%.2f over the whole run)",
                            offered.steady() ? "in the steady window" : "while all were there",
                            RanInAll(point));
  }
  return absl::StrFormat("%.2f ran on average%s, below %.2f (%g x concurrency)", ran, where, least,
                         kReallyRunning);
}

}  // namespace

std::string MissedCondition(const PointReport& point, double speed_tok_s, double max_ttft_ms) {
  const std::string missed = MissedFigure(point, speed_tok_s, max_ttft_ms);
  return missed.empty() ? MissedUsers(point) : missed;
}

std::string AdviceOn(const std::string& missed, uint32_t users) {
  const char* fewer = users > 1 ? "fewer users, " : "";
  const auto says = [&](const char* words) { return absl::StrContains(missed, words); };
  if (says("failed requests") || says("no request completed")) {
    return "The errors of its requests are above: what they say comes first.";
  }
  if (says("TTFT")) {
    return absl::StrCat("First tokens come too late: ", fewer,
                        "prompts in shorter chunks (--max-num-tokens), more GPUs for one copy "
                        "(--tp), or ask for less (--max-ttft).");
  }
  if (says("speed")) {
    return absl::StrCat("Tokens come too slowly: ", fewer,
                        "more GPUs for one copy (--tp), a lower precision (--quantization fp8; "
                        "`regatta partition` tries both), or ask for less (--min-user-speed).");
  }
  return "Too few ran at once: a longer run (--num-requests, --max-time-per-point), or room for "
         "more of them (--max-batch-size).";
}

bool OnlyTooShort(const PointReport& point, double speed_tok_s, double max_ttft_ms) {
  return MissedFigure(point, speed_tok_s, max_ttft_ms).empty() &&
         !point.regatta().offered().too_short().empty();
}

UsersAtSpeed FindUsersAtSpeed(const SweepReport& sweep, double speed_tok_s, double max_ttft_ms) {
  UsersAtSpeed result;
  result.set_speed_tok_s(speed_tok_s);
  result.set_max_ttft_ms(max_ttft_ms);
  for (const PointReport& point : sweep.points()) {
    // Users are those of a closed loop: who comes by the clock is not one of `concurrency`.
    if (point.regatta().concurrency() == 0) continue;
    if (point.regatta().load().request_rate() > 0) continue;
    const std::string missed = MissedCondition(point, speed_tok_s, max_ttft_ms);
    if (missed.empty()) {
      result.set_users(point.regatta().concurrency());
      result.clear_limited_by();
    } else if (result.limited_by().empty()) {
      result.set_limited_by(absl::StrFormat("c=%d: %s", point.regatta().concurrency(), missed));
    }
  }
  return result;
}

}  // namespace regatta
