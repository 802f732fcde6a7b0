// CleanupDeadline: ends this process when giving back a rank takes too long. A driver that hangs
// cannot be waited for; whoever started the worker starts another, which finds a fresh one.
#pragma once

#include <string>
#include <thread>

#include "absl/synchronization/notification.h"

namespace regatta {

class CleanupDeadline {
 public:
  // From now until destruction; `what` is for the last words.
  explicit CleanupDeadline(std::string what);
  ~CleanupDeadline();
  CleanupDeadline(const CleanupDeadline&) = delete;

 private:
  absl::Notification done_;
  std::thread watcher_;
};

}  // namespace regatta
