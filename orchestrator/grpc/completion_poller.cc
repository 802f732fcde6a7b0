// Draining a completion queue; see completion_poller.h.
#include "orchestrator/grpc/completion_poller.h"

#include <grpc/support/time.h>

#include "common/clock.h"

namespace regatta {

void CompletionPoller::Poll(int64_t deadline_ns, TargetEvents& events) {
  // So that the caller's deadlines hold, whatever comes: one message may bring thousands of tokens.
  constexpr int kAtMost = 256;  // operations
  constexpr int64_t kLongestNs = 2'000'000;
  const RealClock clock;
  int64_t begun_ns = 0;  // with the first operation
  // gRPC's monotonic clock is CLOCK_MONOTONIC, as RealClock is.
  gpr_timespec deadline = gpr_time_from_nanos(deadline_ns, GPR_CLOCK_MONOTONIC);
  for (int i = 0; i < kAtMost; ++i) {
    void* tag = nullptr;
    bool ok = false;
    if (queue_.AsyncNext(&tag, &ok, deadline) != grpc::CompletionQueue::GOT_EVENT) return;
    const int64_t now_ns = clock.NowNs();
    if (i == 0) begun_ns = now_ns;
    static_cast<CompletionOp*>(tag)->Done(ok, now_ns, events);
    if (now_ns - begun_ns > kLongestNs) return;
    deadline = gpr_time_0(GPR_CLOCK_MONOTONIC);  // the rest only if it is there already
  }
}

void CompletionPoller::Drain() {
  queue_.Shutdown();
  void* tag = nullptr;
  bool ok = false;
  while (queue_.Next(&tag, &ok)) {
  }
}

absl::Status EndStatus(const TokenDelta& last) {
  switch (last.finish_reason()) {
    case FINISH_REASON_STOP:
    case FINISH_REASON_LENGTH:
      return absl::OkStatus();
    case FINISH_REASON_CANCELLED:
      return absl::CancelledError("cancelled by the server");
    case FINISH_REASON_ERROR:
      return absl::InternalError(last.error());
    default:
      return absl::InternalError("the stream ended without a finish reason");
  }
}

}  // namespace regatta
