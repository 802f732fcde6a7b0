// Generate: one request, one stream; see inference_service.h.
#include <deque>
#include <memory>
#include <utility>

#include "absl/synchronization/mutex.h"
#include "common/grpc_status.h"
#include "router/inference_service.h"

namespace regatta {
namespace {

class GenerateCall final : public grpc::ServerWriteReactor<TokenDelta>, public DeltaStream {
 public:
  static GenerateCall* Start(RequestSink& sink, const BacklogLimits& limits,
                             const GenerateRequest& request) {
    auto call = std::make_shared<GenerateCall>(sink, limits);
    call->self_ = call;  // Until OnDone, whoever else lets go.
    auto id = sink.Submit(request, /*tag=*/0, call);
    absl::MutexLock lock(&call->mutex_);
    if (id.ok()) {
      call->id_ = *id;
      if (call->ended_) sink.Cancel(*id);  // Its client has gone meanwhile.
    } else {
      call->End(ToGrpc(id.status()));
    }
    return call.get();
  }

  GenerateCall(RequestSink& sink, const BacklogLimits& limits) : sink_(sink), backlog_(limits) {}

  void Push(uint64_t tag, TokenDelta delta) override {
    absl::MutexLock lock(&mutex_);
    if (ended_) return;
    last_queued_ = delta.finish_reason() != FINISH_REASON_NONE;
    const size_t bytes = BytesOf(delta);
    backlog_.Add(bytes);
    pending_.push_back({std::move(delta), bytes});
    if (backlog_.overflows()) {
      if (id_ != 0) sink_.Cancel(id_);  // Otherwise Start does.
      End(grpc::Status(grpc::StatusCode::RESOURCE_EXHAUSTED, backlog_.Complaint()));
    }
  }

  void Fail(uint64_t tag, const absl::Status& status) override {
    absl::MutexLock lock(&mutex_);
    End(ToGrpc(status));
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
    if (ended_) return;
    if (id_ != 0) sink_.Cancel(id_);  // Otherwise Start does.
    End(grpc::Status::CANCELLED);
  }

  void OnDone() override { std::shared_ptr<GenerateCall> last = std::move(self_); }

 private:
  struct Waiting {
    TokenDelta delta;
    size_t bytes = 0;
  };

  void WriteNext() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (writing_ || ended_) return;
    if (!pending_.empty()) {
      writing_ = true;
      current_ = std::move(pending_.front().delta);
      backlog_.Take(1, pending_.front().bytes);
      pending_.pop_front();
      StartWrite(&current_);
    } else if (last_queued_) {
      End(grpc::Status::OK);
    }
  }

  void End(grpc::Status status) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (std::exchange(ended_, true)) return;
    pending_.clear();
    Finish(std::move(status));
  }

  RequestSink& sink_;
  std::shared_ptr<GenerateCall> self_;
  TokenDelta current_;

  absl::Mutex mutex_;
  uint64_t id_ ABSL_GUARDED_BY(mutex_) = 0;
  std::deque<Waiting> pending_ ABSL_GUARDED_BY(mutex_);
  DeltaBacklog backlog_ ABSL_GUARDED_BY(mutex_);  // of pending_
  bool writing_ ABSL_GUARDED_BY(mutex_) = false;
  bool last_queued_ ABSL_GUARDED_BY(mutex_) = false;
  bool ended_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace

grpc::ServerWriteReactor<TokenDelta>* InferenceService::Generate(
    grpc::CallbackServerContext* context, const GenerateRequest* request) {
  return GenerateCall::Start(sink_, options_.generate, *request);
}

}  // namespace regatta
