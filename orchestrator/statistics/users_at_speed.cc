// Conditions of a point; see users_at_speed.h.
#include "orchestrator/statistics/users_at_speed.h"

#include <algorithm>
#include <string>

#include "absl/strings/str_format.h"

namespace regatta {
namespace {

constexpr double kReallyRunning = 0.95;

// Sequences that ran, averaged over time; requests in flight where the server does not tell. Ramp
// and drain may be left out: then all that ever waited is taken to have waited in the window.
double Running(const PointReport& point) {
  const RegattaInfo& info = point.regatta();
  const double in_flight = point.request_info().avg_num_concurrent_requests();
  const double whole_run = info.mean_running() > 0 ? info.mean_running() : in_flight;
  const SteadyWindow& window = info.steady_window();
  if (!window.found()) return whole_run;
  const double parts =
      point.performance().total_latency_ms() / (window.end_ms() - window.start_ms());
  return std::max(whole_run, window.avg_num_concurrent_requests() - info.mean_waiting() * parts);
}

}  // namespace

std::string MissedCondition(const PointReport& point, double speed_tok_s, double max_ttft_ms) {
  const RegattaInfo& info = point.regatta();
  const double speed = point.streaming_metrics().token_output_speed_tok_s();
  const double running = Running(point);
  if (info.failed_requests() > 0) {
    return absl::StrFormat("failed requests: %d", info.failed_requests());
  }
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
  if (running < kReallyRunning * info.concurrency()) {
    return absl::StrFormat("%.2f ran on average, below %.2f (%g x concurrency)", running,
                           kReallyRunning * info.concurrency(), kReallyRunning);
  }
  return "";
}

UsersAtSpeed FindUsersAtSpeed(const SweepReport& sweep, double speed_tok_s, double max_ttft_ms) {
  UsersAtSpeed result;
  result.set_speed_tok_s(speed_tok_s);
  result.set_max_ttft_ms(max_ttft_ms);
  for (const PointReport& point : sweep.points()) {
    // Users are those of a closed loop: who comes by the clock is not one of `concurrency`.
    if (!point.has_streaming_metrics() || point.regatta().concurrency() == 0) continue;
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
