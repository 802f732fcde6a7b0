// A small state machine per call; see per_request_target.h.
#include "orchestrator/grpc/per_request_target.h"

#include "common/check.h"
#include "common/grpc_status.h"

namespace regatta {

// Start, reads until the stream ends, finish: one operation at a time.
class PerRequestTarget::Call final : public CompletionOp {
 public:
  Call(PerRequestTarget& target, uint64_t tag, const GenerateRequest& request)
      : target_(target), tag_(tag) {
    reader_ = target.stub_->PrepareAsyncGenerate(&context_, request, &target.poller_.queue());
    reader_->StartCall(this);
  }

  void Cancel() { context_.TryCancel(); }

  void Done(bool ok, int64_t now_ns, TargetEvents& events) override {
    switch (state_) {
      case State::kStarting:
        state_ = State::kReading;
        return ReadOrFinish(ok);
      case State::kReading:
        if (ok) {
          last_.Swap(&delta_);
          events.OnDelta(tag_, last_, now_ns);
        }
        return ReadOrFinish(ok);
      case State::kFinishing: {
        const absl::Status status = status_.ok() ? EndStatus(last_) : FromGrpc(status_);
        const uint64_t tag = tag_;
        target_.calls_.erase(tag);  // deletes this call
        events.OnEnd(tag, status, now_ns);
      }
    }
  }

 private:
  enum class State { kStarting, kReading, kFinishing };

  void ReadOrFinish(bool ok) {
    if (ok) return reader_->Read(&delta_, this);
    state_ = State::kFinishing;
    reader_->Finish(&status_, this);
  }

  PerRequestTarget& target_;
  const uint64_t tag_;
  State state_ = State::kStarting;
  grpc::ClientContext context_;
  std::unique_ptr<grpc::ClientAsyncReader<TokenDelta>> reader_;
  TokenDelta delta_;  // being read
  TokenDelta last_;
  grpc::Status status_;
};

PerRequestTarget::PerRequestTarget(std::shared_ptr<grpc::Channel> channel)
    : stub_(Inference::NewStub(std::move(channel))) {}

PerRequestTarget::~PerRequestTarget() {
  for (auto& [tag, call] : calls_) call->Cancel();
  poller_.Drain();
}

void PerRequestTarget::Start(uint64_t tag, const GenerateRequest& request) {
  const bool inserted = calls_.emplace(tag, std::make_unique<Call>(*this, tag, request)).second;
  CHECK(inserted) << "tag " << tag << " is in use";
}

void PerRequestTarget::Cancel(uint64_t tag) {
  if (const auto found = calls_.find(tag); found != calls_.end()) found->second->Cancel();
}

void PerRequestTarget::Poll(int64_t deadline_ns, TargetEvents& events) {
  poller_.Poll(deadline_ns, events);
}

}  // namespace regatta
