// A mutex-guarded queue with a capacity and a Close(): the only way callbacks hand work to the
// thread that owns a state machine.
#pragma once

#include <cstddef>
#include <deque>
#include <optional>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"

namespace regatta {

template <typename T>
class BoundedQueue {
 public:
  explicit BoundedQueue(size_t capacity) : capacity_(capacity) {}

  // Appends `item`; false (and `item` untouched) when the queue is closed, or has no more than
  // `spare` places left, which are kept for what matters more. Never waits.
  [[nodiscard]] bool TryPush(T&& item, size_t spare = 0) ABSL_LOCKS_EXCLUDED(mutex_) {
    absl::MutexLock lock(&mutex_);
    if (closed_ || items_.size() + spare >= capacity_) return false;
    items_.push_back(std::move(item));
    return true;
  }

  // Removes the oldest item, waiting up to `timeout`; nullopt on timeout or when closed and empty.
  std::optional<T> Pop(absl::Duration timeout) ABSL_LOCKS_EXCLUDED(mutex_) {
    absl::MutexLock lock(&mutex_);
    auto ready = [this]()
                     ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return !items_.empty() || closed_; };
    if (!mutex_.AwaitWithTimeout(absl::Condition(&ready), timeout) || items_.empty()) {
      return std::nullopt;
    }
    T item = std::move(items_.front());
    items_.pop_front();
    return item;
  }

  std::optional<T> TryPop() { return Pop(absl::ZeroDuration()); }

  // Wakes every waiter; what is queued can still be popped, nothing more can be pushed.
  void Close() ABSL_LOCKS_EXCLUDED(mutex_) {
    absl::MutexLock lock(&mutex_);
    closed_ = true;
  }

  bool closed() const ABSL_LOCKS_EXCLUDED(mutex_) {
    absl::MutexLock lock(&mutex_);
    return closed_;
  }

  size_t size() const ABSL_LOCKS_EXCLUDED(mutex_) {
    absl::MutexLock lock(&mutex_);
    return items_.size();
  }

 private:
  const size_t capacity_;
  mutable absl::Mutex mutex_;
  std::deque<T> items_ ABSL_GUARDED_BY(mutex_);
  bool closed_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace regatta
