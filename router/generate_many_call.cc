// GenerateMany: many requests on one stream; a message carries the deltas of a step, or of several
// when the client is behind; see inference_service.h.
#include <deque>
#include <memory>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "common/grpc_status.h"
#include "router/inference_service.h"

namespace regatta {
namespace {

// So much of a message that has several deltas: with the largest delta alone, a prompt's
// log-probabilities, it stays below gRPC's default limit of 4 MB.
constexpr size_t kMaxMessageBytes = 1 << 20;
constexpr size_t kTagBytes = 32;  // of an entry beside its delta, at most

class GenerateManyCall final
    : public grpc::ServerBidiReactor<GenerateManyRequest, GenerateManyResponse>,
      public DeltaStream {
 public:
  static GenerateManyCall* Start(RequestSink& sink, const BacklogLimits& limits) {
    auto call = std::make_shared<GenerateManyCall>(sink, limits);
    call->self_ = call;  // Until OnDone, whoever else lets go.
    call->StartRead(&call->request_);
    return call.get();
  }

  GenerateManyCall(RequestSink& sink, const BacklogLimits& limits)
      : sink_(sink), backlog_(limits) {}

  void OnReadDone(bool ok) override {
    if (!ok) {  // The client sends nothing more; what runs goes on.
      absl::MutexLock lock(&mutex_);
      read_all_ = true;
      WriteNext();
      return;
    }
    if (request_.action_case() == GenerateManyRequest::kCancel) {
      CancelTag(request_.tag());
    } else {
      StartRequest();
    }
    request_.Clear();
    absl::MutexLock lock(&mutex_);
    if (!ended_) StartRead(&request_);
  }

  void Push(uint64_t tag, TokenDelta delta) override {
    absl::MutexLock lock(&mutex_);
    if (ended_) return;
    if (delta.finish_reason() != FINISH_REASON_NONE) running_.erase(tag);
    Add(tag, std::move(delta));
  }

  void Fail(uint64_t tag, const absl::Status& status) override {
    absl::MutexLock lock(&mutex_);
    if (ended_) return;
    running_.erase(tag);
    TokenDelta delta;
    delta.set_finish_reason(FINISH_REASON_ERROR);
    delta.set_error(std::string(status.message()));
    Add(tag, std::move(delta)).set_status_code(static_cast<uint32_t>(status.code()));
  }

  void Flush() override {
    absl::MutexLock lock(&mutex_);
    WriteNext();
  }

  void OnWriteDone(bool ok) override {
    absl::MutexLock lock(&mutex_);
    writing_ = false;
    WriteNext();
  }

  void OnCancel() override {
    absl::MutexLock lock(&mutex_);
    End(grpc::Status::CANCELLED);
  }

  void OnDone() override { std::shared_ptr<GenerateManyCall> last = std::move(self_); }

 private:
  struct Message {
    GenerateManyResponse response;
    size_t bytes = 0;
  };

  void StartRequest() ABSL_LOCKS_EXCLUDED(mutex_) {
    const uint64_t tag = request_.tag();
    {
      absl::MutexLock lock(&mutex_);
      if (ended_) return;
      if (request_.action_case() != GenerateManyRequest::kStart) {
        return End({grpc::StatusCode::INVALID_ARGUMENT, "a message has neither start nor cancel"});
      }
      if (!running_.emplace(tag, 0).second) {
        return End({grpc::StatusCode::INVALID_ARGUMENT,
                    absl::StrCat("tag ", tag, " is used by a running request")});
      }
    }
    // Without the lock: tokenising a long prompt must not hold up deltas.
    const auto id = sink_.Submit(request_.start(), tag, self_);
    if (!id.ok()) {
      Fail(tag, id.status());
      return Flush();
    }
    absl::MutexLock lock(&mutex_);
    const auto it = running_.find(tag);
    if (it != running_.end()) it->second = *id;
    if (ended_) sink_.Cancel(*id);
  }

  void CancelTag(uint64_t tag) ABSL_LOCKS_EXCLUDED(mutex_) {
    absl::MutexLock lock(&mutex_);
    const auto it = running_.find(tag);
    if (it != running_.end()) sink_.Cancel(it->second);
  }

  // In the last message that is not being written, if it has room.
  TaggedDelta& Add(uint64_t tag, TokenDelta delta) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    const size_t bytes = kTagBytes + BytesOf(delta);
    if (pending_.empty() || pending_.back().bytes + bytes > kMaxMessageBytes) {
      pending_.emplace_back();
    }
    pending_.back().bytes += bytes;
    backlog_.Add(bytes);
    TaggedDelta& entry = *pending_.back().response.add_deltas();
    entry.set_tag(tag);
    entry.mutable_delta()->Swap(&delta);
    return entry;
  }

  void WriteNext() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (ended_) return;
    if (backlog_.overflows()) {
      return End({grpc::StatusCode::RESOURCE_EXHAUSTED, backlog_.Complaint()});
    }
    if (writing_) return;
    if (!pending_.empty()) {
      writing_ = true;
      current_ = std::move(pending_.front().response);
      backlog_.Take(current_.deltas_size(), pending_.front().bytes);
      pending_.pop_front();
      StartWrite(&current_);
    } else if (read_all_ && running_.empty()) {
      End(grpc::Status::OK);
    }
  }

  void End(grpc::Status status) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (std::exchange(ended_, true)) return;
    for (const auto& [tag, id] : running_) {
      if (id != 0) sink_.Cancel(id);
    }
    pending_.clear();
    Finish(std::move(status));
  }

  RequestSink& sink_;
  std::shared_ptr<GenerateManyCall> self_;
  GenerateManyRequest request_;
  GenerateManyResponse current_;

  absl::Mutex mutex_;
  absl::flat_hash_map<uint64_t, uint64_t> running_
      ABSL_GUARDED_BY(mutex_);  // tag -> id; 0: being submitted
  std::deque<Message> pending_ ABSL_GUARDED_BY(mutex_);
  DeltaBacklog backlog_ ABSL_GUARDED_BY(mutex_);  // of pending_
  bool writing_ ABSL_GUARDED_BY(mutex_) = false;
  bool read_all_ ABSL_GUARDED_BY(mutex_) = false;
  bool ended_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace

grpc::ServerBidiReactor<GenerateManyRequest, GenerateManyResponse>* InferenceService::GenerateMany(
    grpc::CallbackServerContext* context) {
  return GenerateManyCall::Start(sink_, options_.generate_many);
}

}  // namespace regatta
