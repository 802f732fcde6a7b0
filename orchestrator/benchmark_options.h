// What `regatta throughput` and `regatta sweep` can be told; spelled as trtllm-bench spells it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "common/credentials.h"

namespace CLI {
class App;
}

namespace regatta {

struct BenchmarkOptions {
  // Input.
  std::string model;              // directory; optional with url
  std::string dataset;            // JSON Lines; empty = synthetic prompts
  uint32_t num_requests = 0;      // per point; 0 = max(10 x concurrency, 32)
  std::optional<int64_t> eos_id;  // not given or -1: end tokens are ignored (but see answers)
  uint32_t target_input_len = 0;  // 0 = the data set's mean; 128 for synthetic prompts
  uint32_t target_output_len = 0;
  uint64_t random_seed = 420;  // of synthetic prompts and of the order
  // Cluster.
  std::string url;     // empty = launch one here
  std::string config;  // YAML of the router
  std::optional<uint32_t> tp, pp, ep, dp;
  std::optional<uint32_t> max_batch_size, max_num_tokens, max_seq_len;
  std::optional<double> kv_cache_fraction;
  std::string dtype;
  std::string backend = "regatta";
  std::string quantization;    // empty = as the checkpoint is
  std::string kv_cache_dtype;  // empty = auto
  bool dummy_weights = false;
  std::optional<double> dummy_router_skew;
  std::string device = "auto";  // auto, cuda or cpu
  uint32_t threads = 0;         // per CPU rank; 0 = the CPUs shared among ranks
  std::string bin_dir;          // of regatta-worker and regatta-router
  double launch_timeout_s = 120;
  std::vector<std::string> launch_flags;  // names of those given that only a launch heeds
  TlsOptions tls;
  // Load.
  bool streaming = true;
  std::string stream_mode = "multiplexed";
  bool prefix_cache = false;
  int64_t warmup = -1;               // requests before each point; -1 = one per user, 2 to 64
  double max_time_per_point_s = -1;  // 0 = none, -1 = see the flag's help
  double stall_timeout_s = 120;
  // Output.
  std::string output = "results";  // parent of the run's directory
  std::string report_json;
  bool markdown = false;
};

// With url: INVALID_ARGUMENT names a flag that was given and only a launch would heed.
absl::Status CheckFlagsOfUrl(const BenchmarkOptions& options);

// Adds every flag but --concurrency.
void AddBenchmarkFlags(CLI::App& command, BenchmarkOptions& options);

}  // namespace regatta
