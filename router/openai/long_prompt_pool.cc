// Threads over two bounded lines; see long_prompt_pool.h.
#include "router/openai/long_prompt_pool.h"

#include <algorithm>
#include <utility>

namespace regatta {

LongPromptPool::LongPromptPool(uint32_t threads, size_t max_waiting, size_t huge_bytes)
    : max_waiting_(max_waiting), huge_bytes_(huge_bytes) {
  for (uint32_t i = 0; i < threads; ++i) {
    threads_.emplace_back([this, huge_too = i == 0] {
      while (std::optional<Task> task = Next(huge_too)) (*task)();
    });
  }
}

LongPromptPool::~LongPromptPool() {
  {
    absl::MutexLock lock(&mutex_);
    closed_ = true;
  }
  for (std::thread& thread : threads_) thread.join();
}

bool LongPromptPool::TryRun(size_t bytes, Task&& task) {
  absl::MutexLock lock(&mutex_);
  Line& line = bytes > huge_bytes_ ? huge_ : others_;
  if (closed_ || line.tasks.size() >= max_waiting_) return false;
  line.tasks.push_back({bytes, std::move(task)});
  return true;
}

std::optional<LongPromptPool::Task> LongPromptPool::Next(bool huge_too) {
  absl::MutexLock lock(&mutex_);
  const auto ready = [this, huge_too]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return closed_ || !others_.tasks.empty() || (huge_too && !huge_.tasks.empty());
  };
  mutex_.Await(absl::Condition(&ready));  // The destructor ends it.
  if (closed_) return std::nullopt;
  return TakeFrom(huge_too && !huge_.tasks.empty() ? huge_ : others_);
}

LongPromptPool::Task LongPromptPool::TakeFrom(Line& line) {
  auto next = line.tasks.begin();
  if (!std::exchange(line.oldest_is_next, !line.oldest_is_next)) {
    next = std::min_element(next, line.tasks.end(), [](const Waiting& one, const Waiting& other) {
      return one.bytes < other.bytes;
    });
  }
  Task task = std::move(next->task);
  line.tasks.erase(next);
  return task;
}

}  // namespace regatta
