// Sleeping that an interruption ends.
#pragma once

#include <algorithm>
#include <atomic>

#include "absl/time/clock.h"
#include "absl/time/time.h"

namespace regatta {

// False when `stop` turned true, soon after it did.
inline bool SleepUnless(const std::atomic<bool>& stop, absl::Duration duration) {
  const absl::Time end = absl::Now() + duration;
  while (absl::Now() < end && !stop.load()) {
    absl::SleepFor(std::min(end - absl::Now(), absl::Milliseconds(50)));
  }
  return !stop.load();
}

}  // namespace regatta
