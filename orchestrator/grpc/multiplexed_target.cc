// One bidirectional stream, its write queue and its end; see multiplexed_target.h.
#include "orchestrator/grpc/multiplexed_target.h"

#include <deque>
#include <functional>
#include <unordered_set>

#include "common/check.h"
#include "common/grpc_status.h"

namespace regatta {
namespace {

// A completion that calls a function, so that one stream can have several kinds outstanding.
class FunctionOp final : public CompletionOp {
 public:
  using Function = std::function<void(bool ok, int64_t now_ns, TargetEvents& events)>;
  explicit FunctionOp(Function function) : function_(std::move(function)) {}
  void Done(bool ok, int64_t now_ns, TargetEvents& events) override {
    function_(ok, now_ns, events);
  }

 private:
  Function function_;
};

}  // namespace

class MultiplexedTarget::Stream {
 public:
  Stream(Inference::Stub& stub, grpc::CompletionQueue& queue) {
    rpc_ = stub.PrepareAsyncGenerateMany(&context_, &queue);
    ++outstanding_;
    rpc_->StartCall(&start_op_);
  }

  bool broken() const { return broken_; }
  // Nothing of gRPC's points here any more.
  bool released() const { return finished_ && outstanding_ == 0; }
  bool holds(uint64_t tag) const { return open_.count(tag) > 0; }

  void Start(uint64_t tag, const GenerateRequest& request) {
    CHECK(open_.insert(tag).second) << "tag " << tag << " is in use";
    GenerateManyRequest& message = pending_.emplace_back();
    message.set_tag(tag);
    *message.mutable_start() = request;
    WriteNext();
  }

  void CancelRequest(uint64_t tag) {
    GenerateManyRequest& message = pending_.emplace_back();
    message.set_tag(tag);
    message.set_cancel(true);
    WriteNext();
  }

  void Abort() { context_.TryCancel(); }

 private:
  void WriteNext() {
    if (!started_ || writing_ || broken_ || pending_.empty()) return;
    writing_ = true;
    ++outstanding_;
    rpc_->Write(pending_.front(), &write_op_);
  }

  void ReadNext() {
    ++outstanding_;
    rpc_->Read(&response_, &read_op_);
  }

  void Break() {
    if (broken_) return;
    broken_ = true;
    ++outstanding_;
    rpc_->Finish(&status_, &finish_op_);
  }

  void OnStarted(bool ok) {
    --outstanding_;
    if (!ok) return Break();
    started_ = true;
    ReadNext();
    WriteNext();
  }

  void OnWritten(bool ok) {
    --outstanding_;
    writing_ = false;
    pending_.pop_front();
    // A failed write is followed by a failed read, which ends the stream.
    if (ok) WriteNext();
  }

  void OnRead(bool ok, int64_t now_ns, TargetEvents& events) {
    --outstanding_;
    if (!ok) return Break();
    for (const TaggedDelta& tagged : response_.deltas()) Deliver(tagged, now_ns, events);
    ReadNext();
  }

  void Deliver(const TaggedDelta& tagged, int64_t now_ns, TargetEvents& events) {
    const auto found = open_.find(tagged.tag());
    if (found == open_.end()) return;  // not ours, or ended
    if (tagged.status_code() == 0) events.OnDelta(tagged.tag(), tagged.delta(), now_ns);
    const bool last =
        tagged.status_code() != 0 || tagged.delta().finish_reason() != FINISH_REASON_NONE;
    if (!last) return;
    open_.erase(found);
    const auto code = static_cast<absl::StatusCode>(tagged.status_code());
    events.OnEnd(tagged.tag(),
                 tagged.status_code() != 0 ? absl::Status(code, tagged.delta().error())
                                           : EndStatus(tagged.delta()),
                 now_ns);
  }

  void OnFinished(int64_t now_ns, TargetEvents& events) {
    --outstanding_;
    finished_ = true;
    const absl::Status status =
        status_.ok() ? absl::UnavailableError("the server closed the stream") : FromGrpc(status_);
    for (uint64_t tag : std::exchange(open_, {})) events.OnEnd(tag, status, now_ns);
  }

  grpc::ClientContext context_;
  std::unique_ptr<grpc::ClientAsyncReaderWriter<GenerateManyRequest, GenerateManyResponse>> rpc_;
  std::deque<GenerateManyRequest> pending_;
  std::unordered_set<uint64_t> open_;  // requests without an end
  GenerateManyResponse response_;
  grpc::Status status_;
  int outstanding_ = 0;
  bool started_ = false, writing_ = false, broken_ = false, finished_ = false;
  FunctionOp start_op_{[this](bool ok, int64_t, TargetEvents&) { OnStarted(ok); }};
  FunctionOp write_op_{[this](bool ok, int64_t, TargetEvents&) { OnWritten(ok); }};
  FunctionOp read_op_{
      [this](bool ok, int64_t now_ns, TargetEvents& events) { OnRead(ok, now_ns, events); }};
  FunctionOp finish_op_{
      [this](bool, int64_t now_ns, TargetEvents& events) { OnFinished(now_ns, events); }};
};

MultiplexedTarget::MultiplexedTarget(std::shared_ptr<grpc::Channel> channel)
    : stub_(Inference::NewStub(std::move(channel))) {}

MultiplexedTarget::~MultiplexedTarget() {
  for (const std::unique_ptr<Stream>& stream : streams_) stream->Abort();
  poller_.Drain();
}

MultiplexedTarget::Stream& MultiplexedTarget::Usable() {
  if (streams_.empty() || streams_.back()->broken()) {
    streams_.push_back(std::make_unique<Stream>(*stub_, poller_.queue()));
  }
  return *streams_.back();
}

void MultiplexedTarget::Start(uint64_t tag, const GenerateRequest& request) {
  Usable().Start(tag, request);
}

void MultiplexedTarget::Cancel(uint64_t tag) {
  for (const std::unique_ptr<Stream>& stream : streams_) {
    if (stream->holds(tag)) stream->CancelRequest(tag);
  }
}

void MultiplexedTarget::Poll(int64_t deadline_ns, TargetEvents& events) {
  poller_.Poll(deadline_ns, events);
  std::erase_if(streams_, [](const auto& stream) { return stream->released(); });
}

}  // namespace regatta
