// Flags of a cluster to be launched; see cluster_options.h.
#include "orchestrator/cluster/cluster_options.h"

#include <CLI/CLI.hpp>

#include "common/config_numbers.h"
#include "common/flags.h"
#include "common/limits.h"

namespace regatta {
namespace {

constexpr uint32_t kMaxRankThreads = 1024;

// Notes that it was given, under its first name.
CLI::Option* Noted(CLI::Option* flag, ClusterOptions& options) {
  return flag->group("Cluster")->each(
      [&options, name = flag->get_name()](const std::string&) { options.given.push_back(name); });
}

// A flag that stands for a number of the configuration file: its range and default are that key's.
template <typename T>
void AddConfigFlag(CLI::App& command, const char* names, const char* key, const char* text,
                   std::optional<T>& value, ClusterOptions& options) {
  const ConfigNumber& number = ConfigNumberOf(key);
  Noted(command.add_option(names, value, number.Help(text))->check(InRange(number.range)), options);
}

void AddLayoutAndLimitFlags(CLI::App& command, ClusterOptions& options) {
  const auto add = [&](const char* names, const char* key, auto& value, const char* text) {
    AddConfigFlag(command, names, key, text, value, options);
  };
  add("--tp,--tp-size,--tensor-parallel-size", "tensor_parallel_size", options.tp,
      "tensor parallel ranks");
  add("--pp,--pp-size,--pipeline-parallel-size", "pipeline_parallel_size", options.pp,
      "pipeline stages");
  add("--ep,--ep-size", "moe_expert_parallel_size", options.ep,
      "expert parallel ranks; divides --tp");
  add("--dp,--dp-size,--data-parallel-size", "data_parallel_size", options.dp,
      "independent copies of the model");
  add("--max-batch-size,--max-num-seqs", "max_batch_size", options.max_batch_size,
      "sequences in one step");
  add("--max-num-tokens,--max-num-batched-tokens", "max_num_tokens", options.max_num_tokens,
      "tokens in one step");
  add("--max-seq-len,--max-model-len", "max_seq_len", options.max_seq_len,
      "prompt plus output of one sequence");
  add("--kv-cache-free-gpu-mem-fraction,--kv-cache-free-gpu-memory-fraction,"
      "--free-gpu-memory-fraction",
      "kv_cache_config.free_gpu_memory_fraction", options.kv_cache_fraction,
      "of the memory left after weights");
  // vLLM's, not shown.
  command.add_option_function<double>("--gpu-memory-utilization", [](double) {})
      ->check([](const std::string&) -> std::string {
        return "--gpu-memory-utilization is a share of all memory; give "
               "--kv-cache-free-gpu-mem-fraction, a share of what "
               "weights leave";
      })
      ->group("");
}

}  // namespace

void AddClusterFlags(CLI::App& command, ClusterOptions& options) {
  AddLayoutAndLimitFlags(command, options);
  const auto add = [&](const char* names, auto& value, const char* text) {
    return Noted(command.add_option(names, value, text), options);
  };
  add("--config,--extra-llm-api-options", options.config,
      "YAML with TensorRT-LLM's keys for the launched router; flags override it");
  add("--dtype", options.dtype, "auto, float32, bfloat16 or float16");
  add("--quantization", options.quantization,
      "auto (as the checkpoint is), fp8 (made while loading) or fp8_static (dummy weights)");
  add("--kv-cache-dtype", options.kv_cache_dtype, "auto, float32, bfloat16, float16 or fp8");
  Noted(command.add_flag("--deterministic", options.deterministic,
                         "a request's tokens are the same bits whatever shares its steps; slower "
                         "on GPUs, always so on CPU ranks"),
        options);
  command.add_option("--backend", options.backend, "accepted and ignored: there is one")
      ->group("Cluster");
  CLI::Option* const dummy =
      Noted(command.add_flag("--dummy-weights", options.dummy_weights,
                             "seeded random weights of the model's shapes; drawn tokens "
                             "are replaced by random ones"),
            options);
  add("--dummy-router-skew", options.dummy_router_skew,
      "popularity of dummy experts falls as rank^-skew (default 0: all alike)")
      ->needs(dummy)
      ->check(FiniteRange(0.0, kMaxRouterSkew));
  add("--device", options.device,
      "what ranks run on: cuda, cpu, or auto: GPUs where there are any (default)")
      ->check(CLI::IsMember({"auto", "cuda", "cpu"}));
  add("--threads", options.threads, "of each CPU rank (default: CPUs / ranks)")
      ->check(WholeRange(0, kMaxRankThreads));
  add("--bin-dir", options.bin_dir,
      "where regatta-worker and regatta-router are (default: next to this program)");
  command
      .add_option("--launch-timeout", options.launch_timeout_s,
                  "seconds until it must serve; a port behind --url http(s):// at which nothing "
                  "listens is given 10, unless this is given")
      ->capture_default_str()
      ->each([&options](const std::string&) { options.waits = true; })
      ->check(FiniteRange(0.001, kOneDayS))
      ->group("Cluster");
}

}  // namespace regatta
