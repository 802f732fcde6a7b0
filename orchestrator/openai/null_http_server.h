// The null engine behind OpenAI's HTTP API: what client, transport and generator cost together over
// HTTP. Its tokens are texts: the time (RealClock, nanoseconds) at which each was sent.
#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "orchestrator/load/null_engine.h"

namespace regatta {

class NullHttpServer {
 public:
  // Serves /v1/models, /v1/completions and /v1/chat/completions on host:port (port 0: any), in
  // plain HTTP, on one thread. UNAVAILABLE names the address.
  static absl::StatusOr<std::unique_ptr<NullHttpServer>> Start(const std::string& address,
                                                               const NullTiming& timing);
  // Closes all connections.
  ~NullHttpServer();

  // host:port as bound.
  const std::string& address() const;

 private:
  class Loop;
  explicit NullHttpServer(std::unique_ptr<Loop> loop);

  std::unique_ptr<Loop> loop_;
};

}  // namespace regatta
