// CollectingStream: a DeltaStream that keeps everything, for tests to wait for and look at.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "router/frontend.h"

namespace regatta {

// What one request's client has read.
struct Collected {
  std::vector<uint32_t> tokens;
  std::string text;
  uint32_t count = 0;
  uint32_t deltas = 0;
  bool ended = false;
  absl::Status status;  // of Fail
  TokenDelta last;
};

class CollectingStream final : public DeltaStream {
 public:
  void Push(uint64_t tag, TokenDelta delta) override {
    absl::MutexLock lock(&mutex_);
    Collected& request = requests_[tag];
    if (request.ended) ++calls_after_end_;
    request.tokens.insert(request.tokens.end(), delta.token_ids().begin(), delta.token_ids().end());
    request.text += delta.text();
    request.count += delta.count();
    ++request.deltas;
    request.ended = delta.finish_reason() != FINISH_REASON_NONE;
    request.last = std::move(delta);
  }
  void Fail(uint64_t tag, const absl::Status& status) override {
    absl::MutexLock lock(&mutex_);
    Collected& request = requests_[tag];
    if (request.ended) ++calls_after_end_;
    request.ended = true;
    request.status = status;
  }
  void Flush() override {
    absl::MutexLock lock(&mutex_);
    ++flushes_;
  }

  // False at the timeout.
  bool AwaitEnd(uint64_t tag, absl::Duration timeout = absl::Seconds(20)) {
    return Await([this, tag] { return requests_[tag].ended; }, timeout);
  }
  bool AwaitCount(uint64_t tag, uint32_t count, absl::Duration timeout = absl::Seconds(20)) {
    return Await([this, tag, count] { return requests_[tag].count >= count; }, timeout);
  }
  Collected Get(uint64_t tag) {
    absl::MutexLock lock(&mutex_);
    return requests_[tag];
  }
  int calls_after_end() {
    absl::MutexLock lock(&mutex_);
    return calls_after_end_;
  }
  int flushes() {
    absl::MutexLock lock(&mutex_);
    return flushes_;
  }

 private:
  template <typename Predicate>
  bool Await(const Predicate& predicate, absl::Duration timeout) {
    absl::MutexLock lock(&mutex_);
    return mutex_.AwaitWithTimeout(absl::Condition(&predicate), timeout);
  }

  absl::Mutex mutex_;
  std::map<uint64_t, Collected> requests_;
  int calls_after_end_ = 0;
  int flushes_ = 0;
};

}  // namespace regatta
