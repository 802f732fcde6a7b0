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

// A message stays far below gRPC's default limit of 4 MB.
constexpr size_t kMaxMessageBytes = 1 << 20;
constexpr size_t kDeltaBytes = 128;  // of a delta without text and ids, at most
constexpr size_t kTopBytes = 8;      // of a position's top log-probabilities without columns

// At least the encoded size; ByteSizeLong would walk the message a second time.
size_t BytesOf(const TokenDelta& delta) {
  size_t bytes =
      kDeltaBytes + delta.text().size() + 5 * delta.token_ids_size() + 4 * delta.logprobs_size();
  for (const TopLogprobs& top : delta.top_logprobs()) {
    bytes += kTopBytes + 9 * top.token_ids_size();
  }
  return bytes;
}

class GenerateManyCall final
    : public grpc::ServerBidiReactor<GenerateManyRequest, GenerateManyResponse>,
      public DeltaStream {
 public:
  static GenerateManyCall* Start(RequestSink& sink, size_t max_pending) {
    auto call = std::make_shared<GenerateManyCall>(sink, max_pending);
    call->self_ = call;  // Until OnDone, whoever else lets go.
    call->StartRead(&call->request_);
    return call.get();
  }

  GenerateManyCall(RequestSink& sink, size_t max_pending)
      : sink_(sink), max_pending_(max_pending) {}

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
    Add(tag, BytesOf(delta)).mutable_delta()->Swap(&delta);
  }

  void Fail(uint64_t tag, const absl::Status& status) override {
    absl::MutexLock lock(&mutex_);
    if (ended_) return;
    running_.erase(tag);
    TaggedDelta& entry = Add(tag, kDeltaBytes + status.message().size());
    entry.set_status_code(static_cast<uint32_t>(status.code()));
    entry.mutable_delta()->set_finish_reason(FINISH_REASON_ERROR);
    entry.mutable_delta()->set_error(std::string(status.message()));
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

  // A new entry of about `bytes` in the last message that is not being written.
  TaggedDelta& Add(uint64_t tag, size_t bytes) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (pending_.empty() || pending_.back().bytes > kMaxMessageBytes) pending_.emplace_back();
    Message& message = pending_.back();
    message.bytes += bytes;
    ++num_pending_;
    TaggedDelta& entry = *message.response.add_deltas();
    entry.set_tag(tag);
    return entry;
  }

  void WriteNext() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (ended_) return;
    if (num_pending_ > max_pending_) {
      return End(
          {grpc::StatusCode::RESOURCE_EXHAUSTED,
           absl::StrCat("the client reads too slowly: ", num_pending_, " deltas wait for it")});
    }
    if (writing_) return;
    if (!pending_.empty()) {
      writing_ = true;
      current_ = std::move(pending_.front().response);
      pending_.pop_front();
      num_pending_ -= current_.deltas_size();
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
  const size_t max_pending_;
  std::shared_ptr<GenerateManyCall> self_;
  GenerateManyRequest request_;
  GenerateManyResponse current_;

  absl::Mutex mutex_;
  absl::flat_hash_map<uint64_t, uint64_t> running_
      ABSL_GUARDED_BY(mutex_);  // tag -> id; 0: being submitted
  std::deque<Message> pending_ ABSL_GUARDED_BY(mutex_);
  size_t num_pending_ ABSL_GUARDED_BY(mutex_) = 0;  // deltas of pending_
  bool writing_ ABSL_GUARDED_BY(mutex_) = false;
  bool read_all_ ABSL_GUARDED_BY(mutex_) = false;
  bool ended_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace

grpc::ServerBidiReactor<GenerateManyRequest, GenerateManyResponse>* InferenceService::GenerateMany(
    grpc::CallbackServerContext* context) {
  return GenerateManyCall::Start(sink_, options_.max_pending_many);
}

}  // namespace regatta
