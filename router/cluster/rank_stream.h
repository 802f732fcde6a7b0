// RankStream: the Run stream to one rank. Plans are queued and written one after another; whatever
// arrives goes to the listener.
#pragma once

#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>

#include <cstdint>
#include <deque>
#include <memory>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "proto/worker.pb.h"

namespace regatta {

// One rank of a group and the way to it.
struct RankEndpoint {
  uint32_t rank = 0;
  std::string address;
  std::shared_ptr<grpc::Channel> channel;

  std::string Name() const { return "rank " + std::to_string(rank) + " (" + address + ")"; }
};

class RankStream final : public grpc::ClientBidiReactor<grpc::ByteBuffer, RunResponse> {
 public:
  // Called from gRPC's threads; must not block. OnClosed is the last call.
  class Listener {
   public:
    virtual ~Listener() = default;
    virtual void OnResponse(RankStream& stream, const RunResponse& response) = 0;
    virtual void OnClosed(RankStream& stream, const grpc::Status& status) = 0;
  };

  // `listener` must outlive the stream. At most `max_queued` messages wait to be written.
  RankStream(RankEndpoint endpoint, size_t max_queued, Listener& listener);

  // Opens the stream for `epoch`.
  void Start(uint64_t epoch);
  // Queues a serialised RunRequest; false when the queue is full. After the stream has closed it
  // does nothing.
  bool Send(const grpc::ByteBuffer& message) ABSL_LOCKS_EXCLUDED(mutex_);
  // Closes the stream from this side; Await returns once it is closed. A started stream must be
  // awaited before it is destroyed.
  void Cancel() { context_.TryCancel(); }
  void Await() { closed_.WaitForNotification(); }

  const RankEndpoint& endpoint() const { return endpoint_; }

  void OnReadDone(bool ok) override ABSL_LOCKS_EXCLUDED(mutex_);
  void OnWriteDone(bool ok) override ABSL_LOCKS_EXCLUDED(mutex_);
  void OnDone(const grpc::Status& status) override;

 private:
  const RankEndpoint endpoint_;
  const size_t max_queued_;
  Listener& listener_;
  grpc::ClientContext context_;
  grpc::TemplatedGenericStub<grpc::ByteBuffer, RunResponse> stub_;
  RunResponse response_;
  absl::Notification closed_;

  absl::Mutex mutex_;
  bool open_ ABSL_GUARDED_BY(mutex_) = false;
  std::deque<grpc::ByteBuffer> queue_ ABSL_GUARDED_BY(mutex_);  // the first one is being written
};

// Any protobuf as the bytes that go on the wire, shared by all streams that send it.
grpc::ByteBuffer ToByteBuffer(const google::protobuf::MessageLite& message);

}  // namespace regatta
