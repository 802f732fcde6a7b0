// LongPromptPool: a few threads that read long requests, so that threads of connections never do,
// and the huge ones among them delay none of the others.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/functional/any_invocable.h"
#include "absl/synchronization/mutex.h"

namespace regatta {

class LongPromptPool {
 public:
  using Task = absl::AnyInvocable<void()>;

  // Bodies over `huge_bytes` are read one at a time, by one of the threads, and wait for no others;
  // with one thread alone the others wait for them. Of either kind `max_waiting` may wait.
  LongPromptPool(uint32_t threads, size_t max_waiting, size_t huge_bytes);
  // Waits for what runs; what waits is dropped.
  ~LongPromptPool();

  // Runs `task`, which reads a body of `bytes`, soon: of those that wait the smallest and the
  // oldest are taken in turn, so that nobody waits for all that are larger, nor for ever. False,
  // and `task` untouched, when too many wait. Thread-safe.
  [[nodiscard]] bool TryRun(size_t bytes, Task&& task) ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  struct Waiting {
    size_t bytes;
    Task task;
  };
  // In order of arrival.
  struct Line {
    std::deque<Waiting> tasks;
    bool oldest_is_next = true;
  };

  // What a thread that reads huge bodies too, or others only, does next; none once closed. Waits.
  std::optional<Task> Next(bool huge_too) ABSL_LOCKS_EXCLUDED(mutex_);
  static Task TakeFrom(Line& line);

  const size_t max_waiting_;
  const size_t huge_bytes_;
  absl::Mutex mutex_;
  Line huge_ ABSL_GUARDED_BY(mutex_);
  Line others_ ABSL_GUARDED_BY(mutex_);
  bool closed_ ABSL_GUARDED_BY(mutex_) = false;
  std::vector<std::thread> threads_;
};

}  // namespace regatta
