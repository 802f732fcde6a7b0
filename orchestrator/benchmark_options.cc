// Flags of the benchmark commands; see benchmark_options.h.
#include "orchestrator/benchmark_options.h"

#include <CLI/CLI.hpp>

#include "common/flags.h"

namespace regatta {
namespace {

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
      ->check(CLI::PositiveNumber)
      ->group("Input");
  command.add_option("--target-output-len", options.target_output_len, "likewise for outputs")
      ->check(CLI::PositiveNumber)
      ->group("Input");
  command
      .add_option("--random-seed", options.random_seed,
                  "of synthetic prompts and of the data set's order")
      ->capture_default_str()
      ->group("Input");
}

// What a running router has decided already.
void AddLayoutFlags(CLI::App& command, CLI::Option& url, BenchmarkOptions& options) {
  const auto add = [&](const char* name, std::optional<uint32_t>& value, const char* text) {
    command.add_option(name, value, text)
        ->check(CLI::PositiveNumber)
        ->excludes(&url)
        ->group("Cluster");
  };
  add("--tp", options.tp, "tensor parallel ranks (default 1)");
  add("--pp", options.pp, "pipeline stages (default 1)");
  add("--ep", options.ep, "expert parallel ranks; divides --tp (default 1)");
  add("--dp", options.dp, "independent copies of the model (default 1)");
  add("--max-batch-size", options.max_batch_size, "sequences in one step (default: derived)");
  add("--max-num-tokens", options.max_num_tokens, "tokens in one step (default: derived)");
  add("--max-seq-len", options.max_seq_len, "prompt plus output of one sequence");
  command
      .add_option("--kv-cache-free-gpu-mem-fraction", options.kv_cache_fraction,
                  "of the memory left after weights (default 0.9)")
      ->check(CLI::Range(0.0, 1.0))
      ->excludes(&url)
      ->group("Cluster");
}

void AddClusterFlags(CLI::App& command, BenchmarkOptions& options) {
  CLI::Option* url =
      command.add_option("--url", options.url, "grpc://HOST:PORT of a running router");
  url->group("Cluster");
  AddLayoutFlags(command, *url, options);
  command
      .add_option("--config,--extra-llm-api-options", options.config,
                  "YAML with TensorRT-LLM's keys for the launched router; flags override it")
      ->group("Cluster");
  command.add_option("--dtype", options.dtype, "auto, float32, bfloat16 or float16")
      ->group("Cluster");
  command.add_option("--backend", options.backend, "accepted and ignored: there is one")
      ->group("Cluster");
  command
      .add_flag("--dummy-weights", options.dummy_weights,
                "seeded random weights of the model's shapes")
      ->excludes(url)
      ->group("Cluster");
  command.add_option("--threads", options.threads, "of each CPU rank (default: CPUs / ranks)")
      ->group("Cluster");
  command
      .add_option("--bin-dir", options.bin_dir,
                  "where regatta-worker and regatta-router are (default: next to this program)")
      ->group("Cluster");
  command.add_option("--launch-timeout", options.launch_timeout_s, "seconds until it must serve")
      ->capture_default_str()
      ->check(CLI::PositiveNumber)
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
                  "CPU ranks, none on GPUs)")
      ->check(CLI::NonNegativeNumber)
      ->group("Load");
  command
      .add_option("--stall-timeout", options.stall_timeout_s,
                  "seconds without any token after which requests are given up")
      ->capture_default_str()
      ->check(CLI::PositiveNumber)
      ->group("Load");
}

}  // namespace

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
