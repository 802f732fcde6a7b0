// Starting a gRPC server, with a cause in words where gRPC only logs one.
#pragma once

#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>

#include <memory>
#include <string>

#include "absl/status/statusor.h"

namespace regatta {

// Builds and starts the server of `builder`, whose listening port `address`, a value of --listen,
// has been added with `port` for the bound one. UNAVAILABLE names flag, address and cause; what
// gRPC logs meanwhile goes nowhere else.
absl::StatusOr<std::unique_ptr<grpc::Server>> StartListening(grpc::ServerBuilder& builder,
                                                             const std::string& address,
                                                             const int& port);

}  // namespace regatta
