// See retry.h.
#include "orchestrator/hub/retry.h"

#include <algorithm>

#include "absl/time/clock.h"

namespace regatta {
namespace {

bool Sleep(absl::Duration duration, const std::atomic<bool>& stop) {
  const absl::Time end = absl::Now() + duration;
  while (absl::Now() < end && !stop.load()) {
    absl::SleepFor(std::min(end - absl::Now(), absl::Milliseconds(50)));
  }
  return !stop.load();
}

}  // namespace

absl::Status WithRetries(const RetryPolicy& policy, const std::atomic<bool>& stop,
                         const std::function<absl::Status()>& attempt,
                         const std::function<bool()>& progressed) {
  absl::Duration wait = policy.first_wait;
  for (int left = policy.attempts - 1;; --left) {
    const absl::Status status = attempt();
    if (!absl::IsUnavailable(status) && !absl::IsDeadlineExceeded(status)) return status;
    if (progressed != nullptr && progressed()) {
      left = policy.attempts - 1;
      wait = policy.first_wait;
    }
    if (left <= 0) return status;
    if (policy.on_retry) policy.on_retry(status, wait);
    if (!Sleep(wait, stop)) return absl::CancelledError("interrupted");
    wait = std::min(wait * 2, policy.longest_wait);
  }
}

}  // namespace regatta
