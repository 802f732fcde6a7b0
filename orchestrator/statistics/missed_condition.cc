// Conditions of a point; see missed_condition.h.
#include "orchestrator/statistics/missed_condition.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "orchestrator/statistics/offered_load.h"
#include "orchestrator/statistics/user_speed.h"

namespace regatta {
namespace {

// What the users would notice.
Missed MissedFigure(const PointReport& point, double speed_tok_s, double max_ttft_ms) {
  const RegattaInfo& info = point.regatta();
  if (Missed failures = MissedByFailures(point); !failures.empty()) return failures;
  const bool asks = speed_tok_s > 0 || std::isfinite(max_ttft_ms);
  if (asks && !point.has_streaming_metrics()) {
    return {CONDITION_TIMES, "answers came whole: no token has a time"};
  }
  const double speed = DecodingSpeed(point);
  if (speed < speed_tok_s) {
    return {CONDITION_SPEED,
            absl::StrFormat("mean speed %.1f tok/s, below %g", speed, speed_tok_s)};
  }
  if (info.p5_user_speed_tok_s() < speed_tok_s) {
    return {CONDITION_SPEED, absl::StrFormat("p5 speed %.1f tok/s, below %g",
                                             info.p5_user_speed_tok_s(), speed_tok_s)};
  }
  if (info.p95_ttft_ms() > max_ttft_ms) {
    return {CONDITION_TTFT,
            absl::StrFormat("p95 TTFT %.0f ms, above %g", info.p95_ttft_ms(), max_ttft_ms)};
  }
  return {};
}

// Sequences that ran, averaged over the whole run; requests in flight where the server tells none.
double RanInAll(const PointReport& point) {
  const double running = point.regatta().mean_running();
  return running > 0 ? running : point.request_info().avg_num_concurrent_requests();
}

// Whether as many ran as were asked.
Missed MissedUsers(const PointReport& point) {
  const RegattaInfo& info = point.regatta();
  const OfferedLoad& offered = info.offered();
  if (!offered.too_short().empty()) {
    return {CONDITION_LENGTH, absl::StrFormat("too short to tell how many of %d ran: %s",
                                              info.concurrency(), offered.too_short())};
  }
  const double ran = info.has_offered() ? offered.mean_running() : RanInAll(point);
  const double least = kReached * info.concurrency();
  if (ran >= least) return {};
  std::string where;
  if (info.has_offered()) {
    where = absl::StrFormat(" %s (%.2f over the whole run)",
                            offered.steady() ? "in the steady window" : "while all were there",
                            RanInAll(point));
  }
  return {CONDITION_RUNNING, absl::StrFormat("%.2f ran on average%s, below %.2f (%g x concurrency)",
                                             ran, where, least, kReached)};
}

}  // namespace

Missed MissedByFailures(const PointReport& point) {
  if (point.request_info().num_requests() == 0) {
    return {CONDITION_COMPLETED, "no request completed"};
  }
  const uint32_t failed = point.regatta().failed_requests();
  if (failed == 0) return {};
  return {CONDITION_FAILURES, absl::StrFormat("failed requests: %d", failed)};
}

Missed MissedCondition(const PointReport& point, double speed_tok_s, double max_ttft_ms) {
  Missed missed = MissedFigure(point, speed_tok_s, max_ttft_ms);
  return missed.empty() ? MissedUsers(point) : missed;
}

bool OnlyTooShort(const PointReport& point, double speed_tok_s, double max_ttft_ms) {
  return MissedCondition(point, speed_tok_s, max_ttft_ms).condition == CONDITION_LENGTH;
}

Missed MissedByMost(absl::Span<const Missed> runs) {
  const auto missing = [](const Missed& run) { return !run.empty(); };
  const size_t count = std::count_if(runs.begin(), runs.end(), missing);
  if (2 * count < runs.size() || runs.empty()) return {};
  return *std::find_if(runs.begin(), runs.end(), missing);
}

std::string AdviceOn(Condition missed, uint32_t users) {
  const char* fewer = users > 1 ? "fewer users, " : "";
  switch (missed) {
    case CONDITION_COMPLETED:
      return "What its requests failed with is above and comes first; cancelled ones "
             "(--request-cancellation-rate) never complete.";
    case CONDITION_FAILURES:
      return "The errors of its requests are above: what they say comes first.";
    case CONDITION_SPEED:
      return absl::StrCat("Tokens come too slowly: ", fewer,
                          "more GPUs for one copy (--tp), a lower precision (--quantization fp8; "
                          "`regatta partition` tries both), or ask for less (--min-user-speed).");
    case CONDITION_TTFT:
      return absl::StrCat("First tokens come too late: ", fewer,
                          "prompts in shorter chunks (--max-num-tokens), more GPUs for one copy "
                          "(--tp), or ask for less (--max-ttft).");
    case CONDITION_TIMES:
      return "Nothing streams: leave out --no-streaming, and measure without a proxy that buffers.";
    case CONDITION_RUNNING:
    case CONDITION_LENGTH:
      return absl::StrCat(
          "Too few ran at once: a longer run (--num-requests, --max-time-per-point)",
          users > 1 ? ", or room for more of them (--max-batch-size)." : ".");
    default:
      return "";
  }
}

}  // namespace regatta
