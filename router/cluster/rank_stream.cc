// One rank's Run stream; see rank_stream.h.
#include "router/cluster/rank_stream.h"

#include <utility>

#include "proto/worker.grpc.pb.h"

namespace regatta {

grpc::ByteBuffer ToByteBuffer(const google::protobuf::MessageLite& message) {
  const grpc::Slice slice(message.SerializeAsString());
  return grpc::ByteBuffer(&slice, 1);
}

RankStream::RankStream(RankEndpoint endpoint, size_t max_queued, Listener& listener)
    : endpoint_(std::move(endpoint)),
      max_queued_(max_queued),
      listener_(listener),
      stub_(endpoint_.channel) {}

void RankStream::Start(uint64_t epoch) {
  RunRequest first;
  first.mutable_start()->set_group_epoch(epoch);
  first.mutable_start()->set_rank(endpoint_.rank);
  // The generic stub sends bytes as they are: a plan is encoded once, however many ranks there are.
  stub_.PrepareBidiStreamingCall(&context_, "/regatta.Worker/Run", {}, this);
  AddHold();  // Until the read side ends: Send writes from outside of gRPC's callbacks.
  {
    absl::MutexLock lock(&mutex_);
    open_ = true;
    queue_.push_back(ToByteBuffer(first));
    StartWrite(&queue_.front());
  }
  StartRead(&response_);
  StartCall();
}

bool RankStream::Send(const grpc::ByteBuffer& message) {
  absl::MutexLock lock(&mutex_);
  if (!open_) return true;
  if (queue_.size() >= max_queued_) return false;
  queue_.push_back(message);
  if (queue_.size() == 1) StartWrite(&queue_.front());
  return true;
}

void RankStream::OnReadDone(bool ok) {
  if (ok) {
    listener_.OnResponse(*this, response_);
    response_.Clear();
    StartRead(&response_);
    return;
  }
  {
    absl::MutexLock lock(&mutex_);
    open_ = false;
  }
  RemoveHold();
}

void RankStream::OnWriteDone(bool ok) {
  absl::MutexLock lock(&mutex_);
  queue_.pop_front();
  if (ok && open_ && !queue_.empty()) StartWrite(&queue_.front());
}

void RankStream::OnDone(const grpc::Status& status) {
  listener_.OnClosed(*this, status);
  closed_.Notify();
}

}  // namespace regatta
