// Sleeps until tokens are due; see null_target.h.
#include "orchestrator/load/null_target.h"

#include <algorithm>
#include <chrono>
#include <thread>

#include "common/clock.h"

namespace regatta {

void NullTarget::Start(uint64_t tag, const GenerateRequest& request) {
  engine_.Start(tag, request, RealClock().NowNs());
}

void NullTarget::Cancel(uint64_t tag) { engine_.Cancel(tag, RealClock().NowNs()); }

void NullTarget::Poll(int64_t deadline_ns, TargetEvents& events) {
  constexpr uint32_t kAtMost = 256;  // events per call, so that the caller's deadlines hold
  const RealClock clock;
  const int64_t wait_ns = std::min(engine_.NextDueNs(), deadline_ns) - clock.NowNs();
  if (wait_ns > 0) std::this_thread::sleep_for(std::chrono::nanoseconds(wait_ns));
  engine_.Advance(clock.NowNs(), kAtMost, [&](uint64_t tag, const TokenDelta& delta) {
    const int64_t received_ns = clock.NowNs();
    events.OnDelta(tag, delta, received_ns);
    if (delta.finish_reason() == FINISH_REASON_NONE) return;
    const bool cancelled = delta.finish_reason() == FINISH_REASON_CANCELLED;
    events.OnEnd(tag, cancelled ? absl::CancelledError("cancelled") : absl::OkStatus(),
                 received_ns);
  });
}

}  // namespace regatta
