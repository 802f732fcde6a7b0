// Trying again what a network may have spoiled.
#pragma once

#include <atomic>
#include <functional>

#include "absl/status/status.h"
#include "absl/time/time.h"

namespace regatta {

struct RetryPolicy {
  int attempts = 6;
  absl::Duration first_wait = absl::Seconds(1);  // doubles, up to longest_wait
  absl::Duration longest_wait = absl::Seconds(20);
  // Told why, and after which wait, it is tried again; from any thread.
  std::function<void(const absl::Status& status, absl::Duration wait)> on_retry;
};

// Calls `attempt` until it returns anything but UNAVAILABLE or DEADLINE_EXCEEDED, or so often in a
// row without `progressed` (which may be null) saying that there was progress. The last status;
// CANCELLED when `stop` turns true while waiting.
absl::Status WithRetries(const RetryPolicy& policy, const std::atomic<bool>& stop,
                         const std::function<absl::Status()>& attempt,
                         const std::function<bool()>& progressed = nullptr);

}  // namespace regatta
