// LongPromptPool: a few threads that read long requests, so that threads of connections never do.
#pragma once

#include <thread>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "common/bounded_queue.h"

namespace regatta {

class LongPromptPool {
 public:
  LongPromptPool(uint32_t threads, size_t max_waiting);
  // Waits for what runs; what waits is dropped.
  ~LongPromptPool();

  // Runs `task` soon; false, and `task` untouched, when too many wait. Thread-safe.
  [[nodiscard]] bool TryRun(absl::AnyInvocable<void()>&& task) {
    return queue_.TryPush(std::move(task));
  }

 private:
  void Run();

  BoundedQueue<absl::AnyInvocable<void()>> queue_;
  std::vector<std::thread> threads_;
};

}  // namespace regatta
