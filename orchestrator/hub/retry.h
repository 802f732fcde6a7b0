// Trying again what a network may have spoiled.
#pragma once

#include <atomic>
#include <functional>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"

namespace regatta {

struct RetryPolicy {
  int attempts = 6;
  absl::Duration first_wait = absl::Seconds(1);  // doubles, up to longest_wait
  absl::Duration longest_wait = absl::Seconds(20);
  absl::Duration patience = absl::Minutes(5);  // who asks for a longer wait is not asked again
  // Told why, and after which wait, it is tried again; from any thread.
  std::function<void(const absl::Status& status, absl::Duration wait)> on_retry;
};

// UNAVAILABLE or DEADLINE_EXCEEDED, unless there is no host of that name.
bool IsWorthARetry(const absl::Status& status);

// Notes in a status that the server asked for a wait (Retry-After), and reads that note; zero when
// there is none.
void SetAskedWait(absl::Status& status, absl::Duration wait);
absl::Duration AskedWait(const absl::Status& status);

// A status with another message, and the notes of the first.
absl::Status Reworded(const absl::Status& status, const std::string& message);

// Calls `attempt` until it returns what is not worth a retry, or so often in a row without
// `progressed` (which may be null) saying that there was progress. Waits between calls, at least as
// long as the status asks. The last status; CANCELLED when `stop` turns true while waiting.
absl::Status WithRetries(const RetryPolicy& policy, const std::atomic<bool>& stop,
                         const std::function<absl::Status()>& attempt,
                         const std::function<bool()>& progressed = nullptr);

}  // namespace regatta
