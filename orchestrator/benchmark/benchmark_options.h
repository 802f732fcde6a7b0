// What `regatta throughput` and `regatta sweep` can be told; spelled as trtllm-bench spells it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "common/credentials.h"
#include "orchestrator/benchmark/load_shape.h"
#include "orchestrator/benchmark/synthetic_flags.h"
#include "orchestrator/cluster/cluster_options.h"

namespace CLI {
class App;
}

namespace regatta {

struct BenchmarkOptions {
  // Input.
  std::string dataset;            // JSON Lines; empty = synthetic prompts
  uint32_t num_requests = 0;      // per point; 0 = max(10 x concurrency, 32)
  std::optional<int64_t> eos_id;  // not given or -1: end tokens are ignored (but see answers)
  uint32_t target_input_len = 0;  // 0 = the data set's mean; 128 for synthetic prompts
  uint32_t target_output_len = 0;
  SyntheticShape synthetic;    // of prompts without a data set
  uint64_t random_seed = 420;  // of synthetic prompts and of the order
  // Cluster.
  // grpc:// of a router, or http(s):// of any OpenAI-compatible server; empty = launch one here.
  std::string url;
  ClusterOptions cluster;  // to be launched; its model is optional with url
  TlsOptions tls;
  // Load.
  std::string protocol;  // whose it is (protocol.h); empty = ours
  bool streaming = true;
  std::string stream_mode = "multiplexed";
  std::string endpoint = "completions";  // over HTTP: or "chat"
  std::string model_name;                // over HTTP; empty = the first that the server lists
  uint32_t gpus = 0;                     // over HTTP: of the server; 0 = not known, counted as one
  bool continuous_usage = true;          // over HTTP: ask for the token count in every event
  bool prefix_cache = false;
  LoadShapeOptions load;
  int64_t warmup = -1;               // requests before each point; -1 = one per user, 2 to 64
  double max_time_per_point_s = -1;  // 0 = none, -1 = see the flag's help
  double stall_timeout_s = 120;
  // Figures.
  uint32_t repeats = 1;              // runs of every point
  std::vector<std::string> goodput;  // objectives (statistics/goodput.h)
  std::vector<double> user_speeds;   // tok/s; users are counted that get each
  double max_ttft_ms = 2000;         // of such users
  double gpu_hour_price = 0;         // 0 = not told
  // Output.
  std::string output = "results";  // parent of the run's directory
  std::string report_json;
  bool markdown = false;
  std::vector<std::string> exports;  // formats of other tools (formats/formats.h)
};

// INVALID_ARGUMENT names a url that is none, or a flag that was given and has no meaning with this
// one, or with none.
absl::Status CheckFlagsOfUrl(const BenchmarkOptions& options);

// Adds every flag but --concurrency and --request-rate.
void AddBenchmarkFlags(CLI::App& command, BenchmarkOptions& options);

}  // namespace regatta
