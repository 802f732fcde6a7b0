// Flags of the benchmark commands; see benchmark_options.h.
#include "orchestrator/benchmark/benchmark_options.h"

#include <CLI/CLI.hpp>
#include <map>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/flags.h"
#include "common/limits.h"
#include "common/status_macros.h"
#include "orchestrator/benchmark/protocol.h"
#include "orchestrator/grpc/channel.h"
#include "orchestrator/http/http_url.h"
#include "orchestrator/hub/model_argument.h"
#include "orchestrator/workload/dataset.h"

namespace regatta {
namespace {

CLI::Validator Lengths() { return WholeRange(1, kMaxOutputTokens); }

void AddInputFlags(CLI::App& command, BenchmarkOptions& options) {
  command.add_option("-m,--model", options.cluster.model, kModelHelp)->group("Input");
  command
      .add_option("--dataset", options.dataset,
                  "JSON Lines of trtllm-bench; without it, synthetic prompts of the target lengths")
      ->group("Input");
  command
      .add_option("--num-requests", options.num_requests,
                  "requests of a point (default: 10 per user, at least 32)")
      ->check(WholeRange(1, 100'000'000))
      ->group("Input");
  command
      .add_option("--eos-id", options.eos_id,
                  "end at this token; -1 (default) ignores end tokens, so that output lengths are "
                  "exact. Data sets with answers end at the model's own unless this is given")
      ->check(WholeRange(-1, 2147483647))
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
      ->check(WholeRange(0, int64_t{1} << 53))
      ->group("Input");
}

void AddHttpFlags(CLI::App& command, BenchmarkOptions& options) {
  command
      .add_option("--endpoint", options.endpoint,
                  "completions, or chat: text prompts become one message")
      ->capture_default_str()
      ->check(CLI::IsMember({"completions", "chat"}))
      ->group("HTTP");
  command
      .add_option("--model-name", options.model_name,
                  "the server's name of the model (default: the first it lists)")
      ->group("HTTP");
  command
      .add_option(
          "--gpus", options.gpus,
          "of the server, for per-GPU figures and cost (default: not known, counted as one)")
      ->check(WholeRange(1, 65536))
      ->group("HTTP");
  command
      .add_flag("--continuous-usage,!--no-continuous-usage", options.continuous_usage,
                "ask for the token count in every event, for servers whose events are not always "
                "one token (default on; off for servers that refuse continuous_usage_stats)")
      ->group("HTTP");
}

void AddLoadFlags(CLI::App& command, BenchmarkOptions& options) {
  command
      .add_option("--compat", options.protocol,
                  "load, warm-up and percentiles of another tool, to the letter (docs/LOAD.md)")
      ->check(CLI::IsMember({kInferenceMaxProtocol, kTrtllmBenchProtocol}))
      ->group("Load");
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
      ->check(WholeRange(0, 1'000'000))
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

void AddFigureFlags(CLI::App& command, BenchmarkOptions& options) {
  command
      .add_option("--repeats", options.repeats,
                  "runs of every point, in drawn order; 5 and more give 95 % intervals")
      ->capture_default_str()
      ->check(WholeRange(1, 1000))
      ->group("Figures");
  command
      .add_option("--goodput", options.goodput,
                  "objectives in ms: ttft:500 tpot:20 e2el:10000; what meets all of them counts")
      ->group("Figures");
  command
      .add_option("--user-speed", options.user_speeds,
                  "tok/s: how many users get that much each (may be repeated)")
      ->check(FiniteRange(0.001, 1e6))
      ->group("Figures");
  command
      .add_option("--max-ttft", options.max_ttft_ms,
                  "within which 95 % of these users have their first token: in ms, or 500ms, 2s")
      ->capture_default_str()
      ->transform(CLI::AsNumberWithUnit(std::map<std::string, double>{{"ms", 1}, {"s", 1e3}}))
      ->check(FiniteRange(0.001, kOneDayS * 1e3))
      ->group("Figures");
  command
      .add_option("--gpu-hour-price", options.gpu_hour_price,
                  "of one GPU, in any currency: gives the cost of a million tokens")
      ->check(FiniteRange(0.000001, 1e6))
      ->group("Figures");
}

absl::Status CheckUrl(const std::string& url) {
  if (absl::StartsWith(url, "http://") || absl::StartsWith(url, "https://")) {
    return ParseHttpUrl(url).status();
  }
  if (absl::StartsWith(url, "grpc://")) return AddressOfUrl(url).status();
  return absl::InvalidArgumentError(absl::StrCat(
      "--url '", url, "': write grpc://HOST:PORT of a router, or http(s)://HOST:PORT of a server"));
}

}  // namespace

absl::Status CheckFlagsOfUrl(const BenchmarkOptions& options) {
  if (!options.url.empty()) RETURN_IF_ERROR(CheckUrl(options.url));
  const bool http = absl::StartsWith(options.url, "http");
  if (options.gpus > 0 && !http) {
    return absl::InvalidArgumentError("--gpus is for --url http(s)://: other servers tell");
  }
  if (options.gpu_hour_price > 0 && http && options.gpus == 0) {
    return absl::InvalidArgumentError(
        "--gpu-hour-price: a server behind HTTP does not tell its GPUs; give --gpus");
  }
  if (options.url.empty() || options.cluster.given.empty()) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(options.cluster.given[0],
                                                 " has no effect with --url: the router at '",
                                                 options.url, "' was started with its own"));
}

void AddBenchmarkFlags(CLI::App& command, BenchmarkOptions& options) {
  AddInputFlags(command, options);
  AddSyntheticShapeFlags(command, options.synthetic);
  command
      .add_option("--url", options.url,
                  "grpc://HOST:PORT of a running router, or http(s)://HOST:PORT of any "
                  "OpenAI-compatible server (key: OPENAI_API_KEY)")
      ->group("Cluster");
  AddClusterFlags(command, options.cluster);
  AddHttpFlags(command, options);
  AddLoadFlags(command, options);
  AddLoadShapeFlags(command, options.load);
  AddFigureFlags(command, options);
  command.add_option("--output", options.output, "directory that gets the run's own directory")
      ->capture_default_str()
      ->group("Output");
  command.add_option("--report-json", options.report_json, "also write the report there as JSON")
      ->group("Output");
  command.add_flag("--markdown", options.markdown, "also write summary.md")->group("Output");
  command
      .add_option("--export", options.exports,
                  "also write these formats of other tools into the run's export/ (see regatta "
                  "export --help)")
      ->delimiter(',')
      ->group("Output");
  AddTlsFlags(command, options.tls);
}

}  // namespace regatta
