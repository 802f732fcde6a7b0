// gRPC takes its strategy from the environment alone; see polling.h.
#include "orchestrator/grpc/polling.h"

#include <grpc/grpc.h>
#include <stdlib.h>

namespace regatta {

void PollOwnSockets() {
  constexpr char kStrategy[] = "GRPC_POLL_STRATEGY";
  [[maybe_unused]] static const bool once = [&] {
    if (::getenv(kStrategy) != nullptr) return true;
    ::setenv(kStrategy, "poll", /*overwrite=*/0);
    ::grpc_init();  // reads it; without a grpc_shutdown it stays
    ::unsetenv(kStrategy);
    return true;
  }();
}

}  // namespace regatta
