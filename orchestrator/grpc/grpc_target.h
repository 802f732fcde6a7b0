// The router's Inference service as a target, on one completion queue that Poll drains.
#pragma once

#include <grpcpp/channel.h>

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "orchestrator/load/target.h"

namespace regatta {

enum class StreamMode {
  kPerRequest,   // one Generate call per request: what independent users do
  kMultiplexed,  // all requests on one GenerateMany stream: the least work for the client
};

// "per-request" or "multiplexed"; INVALID_ARGUMENT names the value.
absl::StatusOr<StreamMode> ParseStreamMode(absl::string_view name);

std::unique_ptr<Target> MakeGrpcTarget(std::shared_ptr<grpc::Channel> channel, StreamMode mode);

}  // namespace regatta
