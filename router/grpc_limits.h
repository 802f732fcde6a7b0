// What one connection may ask of the router's gRPC port, as HttpLimits are of the HTTP one. A value
// equal to its limit passes.
#pragma once

#include <cstddef>

#include "absl/time/time.h"

namespace grpc {
class ServerBuilder;
}

namespace regatta {

struct GrpcLimits {
  int max_message_bytes = 4 << 20;      // RESOURCE_EXHAUSTED: of one request
  size_t max_metadata_bytes = 8 << 10;  // RESOURCE_EXHAUSTED: names, values and 32 for each
  int max_concurrent_streams = 16'384;  // of a connection; more calls wait at the client
  absl::Duration min_ping_interval = absl::Seconds(5);  // GOAWAY after three pings that came sooner
};

// Sets them for the server that `builder` will start.
void SetLimits(const GrpcLimits& limits, grpc::ServerBuilder& builder);

}  // namespace regatta
