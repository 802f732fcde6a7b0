// `regatta serve`: a cluster on this host behind an OpenAI-compatible URL, until Ctrl-C.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "orchestrator/cluster/cluster_options.h"

namespace regatta {

struct ServeOptions {
  ClusterOptions cluster;
  std::string host = "127.0.0.1";
  uint32_t port = 8000;           // 0 = any free one
  std::string tls_cert, tls_key;  // PEM, of the HTTP port
  std::string api_key_file;       // one key per line; empty = no key is asked for
  std::string served_model_name;  // empty = the model's
  std::string tool_call_syntax;   // empty = the router finds out
  std::string cors_origin;        // whose web pages may call; empty = none
  // Limits of the HTTP port; unset = the router's.
  std::optional<uint64_t> max_body, max_connections, max_connections_per_peer;
  std::optional<uint32_t> max_queue_size;  // waiting requests; unset = as the configuration says
  bool metrics_vllm_names = false;         // on /metrics
  std::string log_dir;                     // parent of the run's own; empty = a temporary directory
  double drain_timeout_s = 30;             // for running requests, after Ctrl-C
  bool verbose = false;
};

// Serves until the first SIGINT or SIGTERM, then drains. Progress, what is served and notes go to
// stderr. Returns the exit code, which is 0 when it was told to end, even before it served; no
// process is left then. Call from the main thread.
int Serve(ServeOptions options);

// Those of the router beside what options.cluster determines.
std::vector<std::string> ServeRouterArguments(const ServeOptions& options,
                                              const std::string& http_address_file);

}  // namespace regatta
