// The service as a process: state directory, port, runs; until it is told to end.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "common/credentials.h"

namespace regatta {

inline constexpr char kDefaultServiceAddress[] = "127.0.0.1:9500";

struct OrchestratorServerOptions {
  std::string listen = kDefaultServiceAddress;  // host:port; port 0 = any free one
  std::string address_file;                     // gets the bound address; may be empty
  std::string state_dir;                        // made if need be; one service at a time
  std::string data_dir;  // of data sets that clients name without sending them; may be empty
  uint32_t max_queued = 64;
  bool allow_changes = false;  // of running routers, by runs
  double stop_grace_s = 10;    // from SIGTERM to SIGKILL for the process of a run
  bool send_api_key = false;   // OPENAI_API_KEY goes to whatever HTTP server a client names
  TlsOptions tls;              // of the port, and towards targets behind grpc://
};

// Serves until `stop`; then ends what runs, which the next life goes on with. Call from the main
// thread. Errors: a port, state directory or certificate that cannot be used, by name.
absl::Status RunOrchestratorServer(const OrchestratorServerOptions& options,
                                   const std::atomic<bool>& stop);

}  // namespace regatta
