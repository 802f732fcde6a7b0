// A gRPC completion queue drained by one thread: each finished operation calls back its owner.
#pragma once

#include <grpcpp/completion_queue.h>

#include <cstdint>

#include "orchestrator/load/target.h"

namespace regatta {

// What a completion-queue tag points to. Must stay alive until Done has been called for every
// operation it was given to.
class CompletionOp {
 public:
  virtual ~CompletionOp() = default;
  // `ok` as gRPC defines it for the operation.
  virtual void Done(bool ok, int64_t now_ns, TargetEvents& events) = 0;
};

class CompletionPoller {
 public:
  grpc::CompletionQueue& queue() { return queue_; }
  // Runs finished operations, waiting for the first until `deadline_ns` (RealClock).
  void Poll(int64_t deadline_ns, TargetEvents& events);
  // Waits for all operations, whose calls must have been cancelled, without calling them back.
  void Drain();

 private:
  grpc::CompletionQueue queue_;
};

// What a request's last delta says about its end; OK for one that ran to its end.
absl::Status EndStatus(const TokenDelta& last);

}  // namespace regatta
