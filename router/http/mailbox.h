// Mailbox: exchanges of one thread's connections that have something to do. Engine threads put, the
// thread takes all at once; it is woken when the first one comes, not for each.
#pragma once

#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"

namespace regatta {

class HttpExchange;

class Mailbox {
 public:
  // `wake` is called with the mailbox locked, when it was empty.
  explicit Mailbox(std::function<void()> wake) : wake_(std::move(wake)) {}

  // Ignored once closed.
  void Put(std::shared_ptr<HttpExchange> exchange) ABSL_LOCKS_EXCLUDED(mutex_) {
    absl::MutexLock lock(&mutex_);
    if (closed_) return;
    waiting_.push_back(std::move(exchange));
    if (waiting_.size() == 1) wake_();
  }

  // Exchanges what waits for `taken`, which is empty.
  void TakeAll(std::vector<std::shared_ptr<HttpExchange>>& taken) ABSL_LOCKS_EXCLUDED(mutex_) {
    absl::MutexLock lock(&mutex_);
    waiting_.swap(taken);
  }

  // `wake` is not called any more.
  void Close() ABSL_LOCKS_EXCLUDED(mutex_) {
    std::vector<std::shared_ptr<HttpExchange>> forgotten;
    absl::MutexLock lock(&mutex_);
    closed_ = true;
    waiting_.swap(forgotten);
  }

 private:
  const std::function<void()> wake_;
  absl::Mutex mutex_;
  std::vector<std::shared_ptr<HttpExchange>> waiting_ ABSL_GUARDED_BY(mutex_);
  bool closed_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace regatta
