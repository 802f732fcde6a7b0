// Deadlines of gRPC calls.
#pragma once

#include <grpcpp/client_context.h>

#include <chrono>

#include "absl/time/time.h"

namespace regatta {

// The call fails with DEADLINE_EXCEEDED when it has not ended `timeout` from now.
inline void SetDeadline(grpc::ClientContext& context, absl::Duration timeout) {
  context.set_deadline(std::chrono::system_clock::now() + absl::ToChronoNanoseconds(timeout));
}

}  // namespace regatta
