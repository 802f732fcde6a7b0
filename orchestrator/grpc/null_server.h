// The null engine behind the router's gRPC services: what client, transport and generator cost
// together. It runs no model; its reports name the model "null".
#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "common/credentials.h"
#include "orchestrator/load/null_engine.h"

namespace regatta {

class NullServer {
 public:
  // Serves Inference and Cluster on host:port (port 0: any). UNAVAILABLE names the address.
  static absl::StatusOr<std::unique_ptr<NullServer>> Start(const std::string& address,
                                                           const NullTiming& timing,
                                                           const TlsOptions& tls);
  // Cancels what runs.
  ~NullServer();

  // host:port as bound.
  const std::string& address() const;

 private:
  struct Parts;
  explicit NullServer(std::unique_ptr<Parts> parts);

  std::unique_ptr<Parts> parts_;
};

}  // namespace regatta
