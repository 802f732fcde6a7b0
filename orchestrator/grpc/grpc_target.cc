// Both stream modes over asynchronous stubs; see grpc_target.h.
#include "orchestrator/grpc/grpc_target.h"

#include "absl/strings/str_cat.h"
#include "orchestrator/grpc/multiplexed_target.h"
#include "orchestrator/grpc/per_request_target.h"

namespace regatta {

absl::StatusOr<StreamMode> ParseStreamMode(absl::string_view name) {
  if (name == "per-request") return StreamMode::kPerRequest;
  if (name == "multiplexed") return StreamMode::kMultiplexed;
  return absl::InvalidArgumentError(
      absl::StrCat("--stream-mode is '", name, "', must be per-request or multiplexed"));
}

std::unique_ptr<Target> MakeGrpcTarget(std::shared_ptr<grpc::Channel> channel, StreamMode mode) {
  if (mode == StreamMode::kPerRequest) {
    return std::make_unique<PerRequestTarget>(std::move(channel));
  }
  return std::make_unique<MultiplexedTarget>(std::move(channel));
}

}  // namespace regatta
