// See retry.h.
#include "orchestrator/hub/retry.h"

#include <algorithm>
#include <cstdint>
#include <string>

#include "absl/strings/cord.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "orchestrator/http/http_client.h"
#include "orchestrator/terminal/interruptible_sleep.h"

namespace regatta {
namespace {

constexpr char kAskedWait[] = "regatta/asked-wait-ms";

}  // namespace

bool IsWorthARetry(const absl::Status& status) {
  return (absl::IsUnavailable(status) || absl::IsDeadlineExceeded(status)) &&
         !IsUnknownHost(status);
}

void SetAskedWait(absl::Status& status, absl::Duration wait) {
  status.SetPayload(kAskedWait, absl::Cord(absl::StrCat(absl::ToInt64Milliseconds(wait))));
}

absl::Duration AskedWait(const absl::Status& status) {
  const auto payload = status.GetPayload(kAskedWait);
  int64_t ms = 0;
  const bool known = payload.has_value() && absl::SimpleAtoi(std::string(*payload), &ms);
  return known ? absl::Milliseconds(ms) : absl::ZeroDuration();
}

absl::Status Reworded(const absl::Status& status, const std::string& message) {
  absl::Status reworded(status.code(), message);
  status.ForEachPayload(
      [&](absl::string_view url, const absl::Cord& payload) { reworded.SetPayload(url, payload); });
  return reworded;
}

absl::Status WithRetries(const RetryPolicy& policy, const std::atomic<bool>& stop,
                         const std::function<absl::Status()>& attempt,
                         const std::function<bool()>& progressed) {
  absl::Duration wait = policy.first_wait;
  for (int left = policy.attempts - 1;; --left) {
    const absl::Status status = attempt();
    if (!IsWorthARetry(status)) return status;
    if (progressed != nullptr && progressed()) {
      left = policy.attempts - 1;
      wait = policy.first_wait;
    }
    const absl::Duration asked = AskedWait(status);
    if (left <= 0 || asked > policy.patience) return status;
    const absl::Duration pause = std::max(wait, asked);
    if (policy.on_retry) policy.on_retry(status, pause);
    if (!SleepUnless(stop, pause)) return absl::CancelledError("interrupted");
    wait = std::min(wait * 2, policy.longest_wait);
  }
}

}  // namespace regatta
