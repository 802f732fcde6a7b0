// What a cluster on this host is launched with: model, layout, precision, limits, devices. The part
// of the command line that serving and benchmarking share; spelled as trtllm-bench and
// trtllm-serve spell it, vLLM's names beside where they mean the same.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace CLI {
class App;
}

namespace regatta {

struct ClusterOptions {
  std::string model;  // directory, or a name on the Hub until it is resolved (hub/model_argument.h)
  std::string config;  // YAML of the router
  std::optional<uint32_t> tp, pp, ep, dp;
  std::optional<uint32_t> max_batch_size, max_num_tokens, max_seq_len;
  std::optional<double> kv_cache_fraction;
  std::string dtype;
  std::string backend = "regatta";
  std::string quantization;    // empty = as the checkpoint is
  std::string kv_cache_dtype;  // empty = auto
  bool deterministic = false;  // the same bits in any company
  bool dummy_weights = false;
  std::optional<double> dummy_router_skew;
  std::string device = "auto";  // auto, cuda or cpu
  uint32_t pool = 0;     // workers to start; as many as the layout has ranks where that is more
  uint32_t threads = 0;  // per CPU rank; 0 = the CPUs shared among ranks
  std::string bin_dir;   // of regatta-worker and regatta-router
  double launch_timeout_s = 120;
  bool waits = false;  // --launch-timeout was given: also for HTTP that is not spoken yet
  std::vector<std::string> given;  // names of the flags given that only a launch heeds
};

// Adds the flags of all fields but `model`.
void AddClusterFlags(CLI::App& command, ClusterOptions& options);

}  // namespace regatta
