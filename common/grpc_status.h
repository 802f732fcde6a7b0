// absl::Status <-> grpc::Status. The codes are numerically equal by design.
#pragma once

#include <grpcpp/support/status.h>

#include <string>

#include "absl/status/status.h"

namespace regatta {

inline grpc::Status ToGrpc(const absl::Status& status) {
  if (status.ok()) return grpc::Status::OK;
  return grpc::Status(static_cast<grpc::StatusCode>(status.code()), std::string(status.message()));
}

inline absl::Status FromGrpc(const grpc::Status& status) {
  if (status.ok()) return absl::OkStatus();
  // gRPC's own answer to a call that a server does not have is empty.
  const bool unknown_call =
      status.error_code() == grpc::UNIMPLEMENTED && status.error_message().empty();
  return absl::Status(static_cast<absl::StatusCode>(status.error_code()),
                      unknown_call ? "the server there does not have this call: it is of another "
                                     "kind (router, orchestrator, worker or none of Regatta's)"
                                   : status.error_message());
}

}  // namespace regatta
