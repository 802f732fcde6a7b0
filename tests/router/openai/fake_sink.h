// FakeSink: a cluster whose every step is the test's.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/synchronization/mutex.h"
#include "router/frontend.h"

namespace regatta {

class FakeSink final : public RequestSink {
 public:
  struct Submitted {
    GenerateRequest request;
    uint64_t tag;
    std::shared_ptr<DeltaStream> stream;
    bool cancelled = false;
  };

  absl::StatusOr<uint64_t> Submit(const GenerateRequest& request, uint64_t tag,
                                  std::shared_ptr<DeltaStream> stream) override {
    absl::MutexLock lock(&mutex_);
    if (submitted_.size() >= capacity) return refusal;
    submitted_.push_back({.request = request, .tag = tag, .stream = std::move(stream)});
    return submitted_.size();
  }
  void Cancel(uint64_t id) override {
    absl::MutexLock lock(&mutex_);
    submitted_[id - 1].cancelled = true;
  }

  size_t size() {
    absl::MutexLock lock(&mutex_);
    return submitted_.size();
  }
  Submitted at(size_t index) {
    absl::MutexLock lock(&mutex_);
    return submitted_.at(index);
  }
  // Lets go of all streams, as the cluster does of ended requests.
  void Forget() {
    absl::MutexLock lock(&mutex_);
    submitted_.clear();
  }

  void Push(size_t index, TokenDelta delta) {
    const Submitted to = at(index);
    to.stream->Push(to.tag, std::move(delta));
    to.stream->Flush();
  }
  void Fail(size_t index, const absl::Status& status) {
    const Submitted to = at(index);
    to.stream->Fail(to.tag, status);
    to.stream->Flush();
  }

  // From then on requests are refused.
  size_t capacity = 1 << 20;
  absl::Status refusal = absl::ResourceExhaustedError("queue: 2 requests wait already");

 private:
  absl::Mutex mutex_;
  std::vector<Submitted> submitted_;
};

// A delta of `text`, one token for each of `ids`.
inline TokenDelta MakeDelta(const std::string& text, const std::vector<uint32_t>& ids,
                            FinishReason reason = FINISH_REASON_NONE) {
  TokenDelta delta;
  delta.set_text(text);
  delta.set_count(ids.size());
  delta.mutable_token_ids()->Assign(ids.begin(), ids.end());
  delta.set_finish_reason(reason);
  return delta;
}

}  // namespace regatta
