// Flags of the benchmark commands; see benchmark_options.h.
#include "orchestrator/benchmark_options.h"

#include <CLI/CLI.hpp>

#include "absl/strings/str_cat.h"
#include "common/flags.h"
#include "common/layout.h"
#include "common/limits.h"
#include "orchestrator/dataset.h"

namespace regatta {
namespace {

constexpr uint32_t kMaxBatchSize = 1 << 20, kMaxThreads = 1024;
constexpr double kOneDayS = 86400;

CLI::Range Lengths() { return CLI::Range(1u, kMaxOutputTokens); }

void AddInputFlags(CLI::App& command, BenchmarkOptions& options) {
  command.add_option("-m,--model", options.model, "model directory in Hugging Face layout")
      ->group("Input");
  command
      .add_option("--dataset", options.dataset,
                  "JSON Lines of trtllm-bench; without it, synthetic prompts of the target lengths")
      ->group("Input");
  command
      .add_option("--num-requests", options.num_requests,
                  "requests of a point (default: 10 per user, at least 32)")
      ->check(CLI::Range(uint32_t{1}, uint32_t{100'000'000}))
      ->group("Input");
  command
      .add_option("--eos-id", options.eos_id,
                  "end at this token; -1 (default) ignores end tokens, so that output lengths are "
                  "exact. Data sets with answers end at the model's own unless this is given")
      ->check(CLI::Range(int64_t{-1}, int64_t{2147483647}))
      ->group("Input");
  command
      .add_option("--target-input-len", options.target_input_len,
                  "mean prompt length for default limits (default: the data set's; synthetic: 128)")
      ->check(Lengths())
      ->group("Input");
  command.add_option("--target-output-len", options.target_output_len, "likewise for outputs")
      ->check(Lengths())
      ->group("Input");
  command
      .add_option("--random-seed", options.random_seed,
                  "of synthetic prompts and of the data set's order")
      ->capture_default_str()
      ->group("Input");
}

// Of a flag that a running router has decided already: notes that it was given.
void OnlyLaunches(CLI::Option* flag, BenchmarkOptions& options) {
  flag->group("Cluster")->each([&options, name = flag->get_name()](const std::string&) {
    options.launch_flags.push_back(name);
  });
}

void AddLayoutFlags(CLI::App& command, BenchmarkOptions& options) {
  const auto add = [&](const char* name, std::optional<uint32_t>& value, uint32_t most,
                       const char* text) {
    OnlyLaunches(command.add_option(name, value, text)->check(CLI::Range(1u, most)), options);
  };
  add("--tp", options.tp, kMaxRanks, "tensor parallel ranks (default 1)");
  add("--pp", options.pp, kMaxRanks, "pipeline stages (default 1)");
  add("--ep", options.ep, kMaxRanks, "expert parallel ranks; divides --tp (default 1)");
  add("--dp", options.dp, kMaxRanks, "independent copies of the model (default 1)");
  add("--max-batch-size", options.max_batch_size, kMaxBatchSize,
      "sequences in one step (default: derived)");
  add("--max-num-tokens", options.max_num_tokens, kMaxOutputTokens,
      "tokens in one step (default: derived)");
  add("--max-seq-len", options.max_seq_len, kMaxOutputTokens, "prompt plus output of one sequence");
  OnlyLaunches(command
                   .add_option("--kv-cache-free-gpu-mem-fraction", options.kv_cache_fraction,
                               "of the memory left after weights (default 0.9)")
                   ->check(FiniteRange(0.0, 1.0)),
               options);
}

void AddClusterFlags(CLI::App& command, BenchmarkOptions& options) {
  command.add_option("--url", options.url, "grpc://HOST:PORT of a running router")
      ->group("Cluster");
  AddLayoutFlags(command, options);
  const auto add = [&](const char* name, auto& value, const char* text) {
    CLI::Option* flag = command.add_option(name, value, text);
    OnlyLaunches(flag, options);
    return flag;
  };
  add("--config,--extra-llm-api-options", options.config,
      "YAML with TensorRT-LLM's keys for the launched router; flags override it");
  add("--dtype", options.dtype, "auto, float32, bfloat16 or float16");
  add("--quantization", options.quantization,
      "auto (as the checkpoint is), fp8 (made while loading) or fp8_static (dummy weights)");
  add("--kv-cache-dtype", options.kv_cache_dtype, "auto, float32, bfloat16, float16 or fp8");
  command.add_option("--backend", options.backend, "accepted and ignored: there is one")
      ->group("Cluster");
  CLI::Option* const dummy =
      command.add_flag("--dummy-weights", options.dummy_weights,
                       "seeded random weights of the model's shapes; drawn tokens "
                       "are replaced by random ones");
  OnlyLaunches(dummy, options);
  add("--dummy-router-skew", options.dummy_router_skew,
      "popularity of dummy experts falls as rank^-skew (default 0: all alike)")
      ->needs(dummy)
      ->check(FiniteRange(0.0, kMaxRouterSkew));
  add("--device", options.device,
      "what ranks run on: cuda, cpu, or auto: GPUs where there are any (default)")
      ->check(CLI::IsMember({"auto", "cuda", "cpu"}));
  add("--threads", options.threads, "of each CPU rank (default: CPUs / ranks)")
      ->check(CLI::Range(0u, kMaxThreads));
  add("--bin-dir", options.bin_dir,
      "where regatta-worker and regatta-router are (default: next to this program)");
  command.add_option("--launch-timeout", options.launch_timeout_s, "seconds until it must serve")
      ->capture_default_str()
      ->check(FiniteRange(0.001, kOneDayS))
      ->group("Cluster");
}

void AddLoadFlags(CLI::App& command, BenchmarkOptions& options) {
  command
      .add_flag("--streaming,!--no-streaming", options.streaming,
                "measure first-token and per-token times (default on)")
      ->group("Load");
  command
      .add_option("--stream-mode", options.stream_mode,
                  "per-request: one gRPC stream each; multiplexed: one for all")
      ->capture_default_str()
      ->group("Load");
  command
      .add_flag("--prefix-cache", options.prefix_cache,
                "let requests reuse cached prompts (default off)")
      ->group("Load");
  command
      .add_option("--warmup", options.warmup,
                  "unmeasured requests before each point (default: one per user, 2 to 64)")
      ->check(CLI::Range(int64_t{0}, int64_t{1'000'000}))
      ->group("Load");
  command
      .add_option("--max-time-per-point", options.max_time_per_point_s,
                  "seconds after which a point issues no more requests; 0 = none (default: 12 on "
                  "CPU ranks unless --num-requests is given, none on GPUs)")
      ->check(FiniteRange(0.0, kOneDayS))
      ->group("Load");
  command
      .add_option("--stall-timeout", options.stall_timeout_s,
                  "seconds without any token after which requests are given up")
      ->capture_default_str()
      ->check(FiniteRange(0.001, kOneDayS))
      ->group("Load");
}

}  // namespace

absl::Status CheckFlagsOfUrl(const BenchmarkOptions& options) {
  if (options.url.empty() || options.launch_flags.empty()) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(options.launch_flags[0],
                                                 " has no effect with --url: the router at '",
                                                 options.url, "' was started with its own"));
}

void AddBenchmarkFlags(CLI::App& command, BenchmarkOptions& options) {
  AddInputFlags(command, options);
  AddClusterFlags(command, options);
  AddLoadFlags(command, options);
  command.add_option("--output", options.output, "directory that gets the run's own directory")
      ->capture_default_str()
      ->group("Output");
  command.add_option("--report-json", options.report_json, "also write the report there as JSON")
      ->group("Output");
  command.add_flag("--markdown", options.markdown, "also write summary.md")->group("Output");
  AddTlsFlags(command, options.tls);
}

}  // namespace regatta
