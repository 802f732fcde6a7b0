// Options of regatta-router: command line over configuration file, checked.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "router/cluster/coordinator.h"
#include "router/cluster/pool.h"
#include "router/http/http_server.h"

namespace regatta {

struct RouterOptions {
  std::string listen;        // host:port
  std::string address_file;  // gets the bound address once the router serves
  std::string model_dir;
  std::vector<std::string> served_model_names;  // empty = the model's own name
  std::string tool_call_syntax = "auto";        // see ChooseToolCallSyntax
  TlsOptions tls;
  HttpServerOptions http;           // without `listen`: no HTTP
  bool metrics_vllm_names = false;  // on /metrics
  std::string http_address_file;    // gets the bound address as soon as HTTP is listened on
  absl::Duration drain_timeout;
  bool exit_with_parent = false;
  PoolOptions pool;
  CoordinatorOptions coordinator;
  std::vector<std::string> warnings;      // about what flags and file say together
  std::vector<std::string> ignored_keys;  // of the file: known to TensorRT-LLM, without effect here
};

// Parses argv. `exit_code` is -1 to go on; otherwise the program ends with it (help and errors are
// printed).
RouterOptions ParseRouterOptions(int argc, char** argv, int& exit_code);

}  // namespace regatta
