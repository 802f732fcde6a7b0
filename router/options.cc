// Flags and configuration file of regatta-router; see options.h.
#include "router/options.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <fstream>
#include <iostream>
#include <iterator>
#include <optional>
#include <set>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "common/config.h"
#include "common/config_numbers.h"
#include "common/edge/http_ranges.h"
#include "common/flags.h"
#include "common/layout.h"
#include "common/limits.h"
#include "common/status_macros.h"

namespace regatta {
namespace {

// The command line as given, before the configuration file and checks.
struct Flags {
  std::string workers;
  std::string worker_file;
  std::string config;
  ServerConfig server;  // overrides the file
  bool dummy_weights = false;
  uint64_t dummy_seed = 0;
  double dummy_router_skew = 0;
  bool random_next_ids = false;
  std::string quantization;
  uint32_t mean_input_length = 1024;
  uint32_t mean_output_length = 1024;
  bool take_over = false;
  double start_timeout = 60;
  double form_timeout = 600;
  double step_timeout = 0;
  double heartbeat_timeout = 0;
  double unavailable_timeout = 60;
  double drain_timeout = 30;
};

// A flag that sets a number of the configuration, whose range and default are `key`'s.
template <typename T, typename Setter>
void AddNumberFlag(CLI::App& app, const std::string& name, const char* key, Setter setter,
                   const std::string& description) {
  const ConfigNumber& number = ConfigNumberOf(key);
  app.add_option_function<T>(name, setter, number.Help(description))
      ->check(InRange(number.range))
      ->group("Configuration");
}

// A flag that sets a word of the configuration.
template <typename Setter>
void AddWordFlag(CLI::App& app, const std::string& name, Setter setter,
                 const std::string& description) {
  app.add_option_function<std::string>(name, setter, description)->group("Configuration");
}

void AddNumberFlags(CLI::App& app, ServerConfig& config) {
  using U = uint32_t;
  KvCacheConfig& kv = *config.mutable_kv_cache_config();
  const auto add = [&app](const char* name, const char* key, auto setter, const char* text) {
    AddNumberFlag<U>(app, name, key, setter, text);
  };
  add(
      "--tp", "tensor_parallel_size", [&](U v) { config.set_tensor_parallel_size(v); },
      "tensor parallel ranks");
  add(
      "--pp", "pipeline_parallel_size", [&](U v) { config.set_pipeline_parallel_size(v); },
      "pipeline stages");
  add(
      "--ep", "moe_expert_parallel_size", [&](U v) { config.set_moe_expert_parallel_size(v); },
      "expert parallel ranks; divides --tp");
  add(
      "--dp", "data_parallel_size", [&](U v) { config.set_data_parallel_size(v); },
      "independent copies of the model");
  add(
      "--max-batch-size", "max_batch_size", [&](U v) { config.set_max_batch_size(v); },
      "sequences in one step");
  add(
      "--max-num-tokens", "max_num_tokens", [&](U v) { config.set_max_num_tokens(v); },
      "tokens in one step");
  add(
      "--max-seq-len", "max_seq_len", [&](U v) { config.set_max_seq_len(v); },
      "prompt plus output of one sequence");
  AddNumberFlag<double>(
      app, "--kv-cache-free-gpu-mem-fraction", "kv_cache_config.free_gpu_memory_fraction",
      [&](double v) { kv.set_free_gpu_memory_fraction(v); }, "of the memory left after weights");
  add(
      "--tokens-per-block", "kv_cache_config.tokens_per_block",
      [&](U v) { kv.set_tokens_per_block(v); }, "tokens per KV block");
  add(
      "--max-kv-tokens", "kv_cache_config.max_tokens", [&](U v) { kv.set_max_tokens(v); },
      "cap of the KV cache of one copy");
  add(
      "--max-inflight", "max_inflight", [&](U v) { config.set_max_inflight(v); },
      "plans in flight");
  add(
      "--max-queue-size", "max_queue_size", [&](U v) { config.set_max_queue_size(v); },
      "waiting requests");
  add(
      "--queue-timeout-ms", "queue_timeout_ms", [&](U v) { config.set_queue_timeout_ms(v); },
      "for requests that give none");
}

void AddConfigFlags(CLI::App& app, ServerConfig& config) {
  AddNumberFlags(app, config);
  KvCacheConfig& kv = *config.mutable_kv_cache_config();
  AddWordFlag(
      app, "--dtype", [&](const std::string& v) { config.set_dtype(v); },
      "auto, float32, bfloat16 or float16");
  app.add_option_function<std::string>(
         "--cuda-graphs", [&](const std::string& v) { config.set_use_cuda_graph(v == "on"); },
         "decoding steps run as captured graphs: on or off")
      ->check(CLI::IsMember({"on", "off"}))
      ->group("Configuration");
  app.add_flag_callback(
         "--deterministic", [&] { config.set_deterministic(true); },
         "a request's tokens are the same bits whatever shares its steps; slower on GPUs")
      ->group("Configuration");
  AddWordFlag(
      app, "--kv-cache-dtype", [&](const std::string& v) { kv.set_dtype(v); },
      "auto, float32, bfloat16, float16 or fp8");
  app.add_flag_callback(
         "--no-prefix-cache", [&] { kv.set_enable_block_reuse(false); },
         "compute every prompt whole")
      ->group("Configuration");
  app.add_flag_callback(
         "--no-chunked-prefill", [&] { config.set_enable_chunked_prefill(false); },
         "run every prompt in one step")
      ->group("Configuration");
  app.add_flag_callback(
         "--no-prompt-pacing", [&] { config.mutable_scheduler_config()->set_pace_prompts(false); },
         "prompts that follow ended sequences fill steps instead of being dealt out over them")
      ->group("Configuration");
}

void AddHttpFlags(CLI::App& app, RouterOptions& options) {
  HttpServerOptions& http = options.http;
  CLI::Option* const listen =
      app.add_option(
             "--http", http.listen,
             "host:port of the OpenAI-compatible HTTP API; port 0 = any free one, [::]:port "
             "= both families. Plain text unless --http-tls-cert is given")
          ->group("HTTP");
  const auto add = [&](const std::string& name, auto& value, const std::string& text) {
    return app.add_option(name, value, text)->needs(listen)->group("HTTP");
  };
  add("--http-address-file", options.http_address_file,
      "write the bound HTTP address there, before the model is loaded");
  app.add_flag("--metrics-vllm-names", options.metrics_vllm_names,
               "show the series of /metrics under vLLM's names too (vllm:...)")
      ->needs(listen)
      ->group("HTTP");
  add("--http-threads", http.threads, "threads that serve connections; 0 = one per CPU, at most 4")
      ->check(WholeRange(0, 64));
  add("--http-tls-cert", http.tls_cert,
      "PEM certificate chain: serves https. Read again when the file changes");
  add("--http-tls-key", http.tls_key, "PEM key of that certificate");
  add("--api-key-file", http.api_key_file,
      "file with one API key, or name:key, per line; all but health then needs "
      "'Authorization: Bearer KEY'. Read again when it changes");
  add("--http-cors-origin", http.cors_origin,
      "origins whose web pages may call the API, comma separated; * = all. Default none");
  add("--http-max-body", http.limits.max_body_bytes, "bytes of one request")
      ->capture_default_str()
      ->check(InRange(kHttpBodyBytesRange));
  add("--http-max-connections", http.limits.max_connections, "of all clients together")
      ->capture_default_str()
      ->check(InRange(kHttpConnectionsRange));
  add("--http-max-connections-per-peer", http.limits.max_connections_per_peer,
      "of one client address; 0 = as many as there are")
      ->capture_default_str()
      ->check(InRange(kHttpConnectionsPerPeerRange));
}

// What takes the place of trained weights in 16 bits.
void AddWeightFlags(CLI::App& app, Flags& flags) {
  CLI::Option* const dummy = app.add_flag("--dummy-weights", flags.dummy_weights,
                                          "seeded random weights instead of safetensors");
  app.add_option("--dummy-seed", flags.dummy_seed, "seed of --dummy-weights");
  app.add_flag("--random-next-ids", flags.random_next_ids,
               "replace drawn tokens by random ones, as dummy models repeat themselves")
      ->needs(dummy);
  app.add_option("--dummy-router-skew", flags.dummy_router_skew,
                 "popularity of dummy experts falls as rank^-skew; 0 = all alike")
      ->needs(dummy)
      ->check(FiniteRange(0.0, kMaxRouterSkew));
  app.add_option("--quantization", flags.quantization,
                 "auto (as the checkpoint is), fp8 (quantise a plain checkpoint as it is loaded), "
                 "or fp8_static (dummy weights as a calibrated checkpoint has them)");
}

void AddTimeoutFlags(CLI::App& app, Flags& flags) {
  const auto add = [&app](const std::string& name, double& value, const std::string& text) {
    app.add_option(name, value, text + " (seconds)")
        ->capture_default_str()
        ->check(FiniteRange(0.0, 86400.0))
        ->group("Timeouts");
  };
  add("--start-timeout", flags.start_timeout, "for workers to answer and be free at start");
  add("--form-timeout", flags.form_timeout, "for a group to form");
  add("--step-timeout", flags.step_timeout,
      "least limit on one step; 0 = 2 on devices, 30 on CPU ranks");
  add("--heartbeat-timeout", flags.heartbeat_timeout,
      "silence of a dead rank; 0 = 0.5 on devices, 3 on CPU ranks");
  add("--unavailable-timeout", flags.unavailable_timeout, "requests wait so long for a group");
  add("--drain-timeout", flags.drain_timeout, "for running requests after SIGTERM");
}

void AddFlags(CLI::App& app, Flags& flags, RouterOptions& options) {
  app.add_option("--model", options.model_dir, "model directory in Hugging Face layout")
      ->required();
  app.add_option("--served-model-name", options.served_model_names,
                 "names by which HTTP clients ask for the model; default: the directory's name");
  app.add_option("--tool-call-syntax", options.tool_call_syntax,
                 "how the model writes calls of tools: auto, llama3_json, hermes or none")
      ->capture_default_str()
      ->check(CLI::IsMember({"auto", "llama3_json", "hermes", "none"}));
  app.add_option("--workers", flags.workers, "workers: host:port,host:port,...");
  app.add_option("--worker-file", flags.worker_file, "file with one worker's host:port per line");
  app.add_option("--listen", options.listen, "address to serve on; port 0 = any free one")
      ->capture_default_str();
  app.add_option("--address-file", options.address_file,
                 "write the bound address there once the router serves");
  app.add_option("--config", flags.config, "YAML file; flags override it");
  AddWeightFlags(app, flags);
  app.add_option("--mean-input-length", flags.mean_input_length,
                 "tokens; default limits are derived from it")
      ->capture_default_str()
      ->check(WholeRange(1, 1 << 24));
  app.add_option("--mean-output-length", flags.mean_output_length, "tokens; likewise")
      ->capture_default_str()
      ->check(WholeRange(1, 1 << 24));
  app.add_flag("--exit-with-parent", options.exit_with_parent,
               "end when the process that started this one ends");
  app.add_flag("--take-over", flags.take_over,
               "at start, take workers also from another router that serves with them; without it "
               "they are waited for");
  AddTimeoutFlags(app, flags);
  AddConfigFlags(app, flags.server);
  AddTlsFlags(app, options.tls);
  AddHttpFlags(app, options);
}

absl::StatusOr<std::vector<std::string>> WorkerAddresses(const Flags& flags) {
  std::vector<std::string> addresses =
      absl::StrSplit(flags.workers, absl::ByAnyChar(", "), absl::SkipWhitespace());
  if (!flags.worker_file.empty()) {
    std::ifstream file(flags.worker_file);
    if (!file)
      return absl::NotFoundError(
          absl::StrCat("--worker-file: cannot read '", flags.worker_file, "'"));
    for (std::string line; std::getline(file, line);) {
      absl::StripAsciiWhitespace(&line);
      if (!line.empty() && line[0] != '#') addresses.push_back(line);
    }
  }
  if (addresses.empty())
    return absl::InvalidArgumentError("no worker: give --workers or --worker-file");
  return addresses;
}

absl::Status CheckListen(const std::string& flag, const std::string& listen) {
  return CheckAddress(flag, listen, 0);  // 0 = any free one
}

// A port that was left out would be dialled as 0 until --start-timeout.
absl::Status CheckWorkerAddresses(const std::vector<std::string>& addresses) {
  for (const std::string& address : addresses) {
    RETURN_IF_ERROR(CheckAddress("--workers, --worker-file", address, 1));
  }
  return absl::OkStatus();
}

// Unset when no key says anything about graphs.
std::optional<GraphOptions> MakeGraphOptions(const ServerConfig& config) {
  if (!config.has_use_cuda_graph() && !config.has_cuda_graph_config()) return std::nullopt;
  const CudaGraphConfig& from = config.cuda_graph_config();
  GraphOptions graphs;
  graphs.set_disabled(config.has_use_cuda_graph() && !config.use_cuda_graph());
  graphs.set_max_batch_size(from.max_batch_size());
  graphs.set_exact(from.has_enable_padding() && !from.enable_padding());
  const std::set<uint32_t> ascending(from.batch_sizes().begin(), from.batch_sizes().end());
  graphs.mutable_batch_sizes()->Add(ascending.begin(), ascending.end());
  return graphs;
}

absl::Status ApplyConfig(const ServerConfig& config, CoordinatorOptions& options) {
  RETURN_IF_ERROR(CheckServerConfig(config));
  ASSIGN_OR_RETURN(
      options.layout,
      MakeLayout(config.has_tensor_parallel_size() ? config.tensor_parallel_size() : 1,
                 config.has_pipeline_parallel_size() ? config.pipeline_parallel_size() : 1,
                 config.has_moe_expert_parallel_size() ? config.moe_expert_parallel_size() : 1,
                 config.has_data_parallel_size() ? config.data_parallel_size() : 1));
  options.limits.set_max_batch_size(config.max_batch_size());
  options.limits.set_max_num_tokens(config.max_num_tokens());
  options.limits.set_max_seq_len(config.max_seq_len());
  const KvCacheConfig& kv = config.kv_cache_config();
  if (kv.has_enable_block_reuse()) options.prefix_cache = kv.enable_block_reuse();
  if (config.has_max_queue_size()) options.max_queue_size = config.max_queue_size();
  options.queue_timeout_ms = config.queue_timeout_ms();
  const SchedulerConfig& scheduler = config.scheduler_config();
  options.ignore_priority = scheduler.waiting_queue_policy() == "fcfs";
  if (scheduler.has_pace_prompts()) options.pace_prompts = scheduler.pace_prompts();
  options.former.max_inflight = config.max_inflight();
  options.former.graphs = MakeGraphOptions(config);
  options.former.deterministic = config.deterministic();
  options.former.model.set_dtype(config.has_dtype() ? config.dtype() : "auto");
  options.former.model.set_kv_cache_dtype(kv.has_dtype() ? kv.dtype() : "auto");
  LimitsPolicy& limits = options.former.limits;
  limits.dtype = options.former.model.dtype();
  limits.kv_cache_dtype = options.former.model.kv_cache_dtype();
  if (kv.has_free_gpu_memory_fraction()) limits.kv_cache_fraction = kv.free_gpu_memory_fraction();
  if (kv.has_tokens_per_block()) limits.block_size = kv.tokens_per_block();
  limits.max_kv_tokens = kv.max_tokens();
  if (config.has_enable_chunked_prefill()) limits.chunked_prefill = config.enable_chunked_prefill();
  return absl::OkStatus();
}

// A flag may lower the largest batch below the file's graphs: those above it would never run.
void DropLargeGraphs(uint32_t max_batch_size, ServerConfig& config,
                     std::vector<std::string>& warnings) {
  auto& sizes = *config.mutable_cuda_graph_config()->mutable_batch_sizes();
  std::vector<uint32_t> dropped;
  std::copy_if(sizes.begin(), sizes.end(), std::back_inserter(dropped),
               [&](uint32_t size) { return size > max_batch_size; });
  if (dropped.empty()) return;
  sizes.erase(std::remove_if(sizes.begin(), sizes.end(),
                             [&](uint32_t size) { return size > max_batch_size; }),
              sizes.end());
  warnings.push_back(absl::StrCat("cuda_graph_config.batch_sizes: ", absl::StrJoin(dropped, ", "),
                                  " dropped, over --max-batch-size ", max_batch_size));
}

absl::Status Resolve(const Flags& flags, RouterOptions& options) {
  RETURN_IF_ERROR(CheckListen("--listen", options.listen));
  if (!options.http.listen.empty()) RETURN_IF_ERROR(CheckListen("--http", options.http.listen));
  if (options.http.tls_cert.empty() != options.http.tls_key.empty()) {
    return absl::InvalidArgumentError("--http-tls-cert and --http-tls-key must be given together");
  }
  ServerConfig config;
  if (!flags.config.empty()) {
    RETURN_IF_ERROR(LoadServerConfig(flags.config, config, options.ignored_keys));
  }
  config.MergeFrom(flags.server);
  if (flags.server.has_max_batch_size() && config.cuda_graph_config().batch_sizes_size() > 0) {
    DropLargeGraphs(flags.server.max_batch_size(), config, options.warnings);
  }
  CoordinatorOptions& coordinator = options.coordinator;
  RETURN_IF_ERROR(ApplyConfig(config, coordinator));
  coordinator.former.model.set_path(options.model_dir);
  coordinator.former.model.set_dummy_weights(flags.dummy_weights);
  coordinator.former.model.set_dummy_seed(flags.dummy_seed);
  coordinator.former.model.set_dummy_router_skew(flags.dummy_router_skew);
  coordinator.former.model.set_random_next_ids(flags.random_next_ids);
  coordinator.former.model.set_quantization(flags.quantization);
  coordinator.former.take_over = flags.take_over;
  coordinator.former.limits.mean_input_length = flags.mean_input_length;
  coordinator.former.limits.mean_output_length = flags.mean_output_length;
  coordinator.start_timeout = absl::Seconds(flags.start_timeout);
  coordinator.form_timeout = absl::Seconds(flags.form_timeout);
  coordinator.step_timeout = absl::Seconds(flags.step_timeout);
  coordinator.unavailable_timeout = absl::Seconds(flags.unavailable_timeout);
  coordinator.tls = options.tls.enabled();
  coordinator.insecure = !options.tls.enabled() && !IsLoopback(options.listen);
  options.drain_timeout = absl::Seconds(flags.drain_timeout);
  options.pool.tls = options.tls;
  options.pool.heartbeat_timeout = absl::Seconds(flags.heartbeat_timeout);
  ASSIGN_OR_RETURN(options.pool.addresses, WorkerAddresses(flags));
  RETURN_IF_ERROR(CheckWorkerAddresses(options.pool.addresses));
  for (const std::string& address : options.pool.addresses) {
    coordinator.insecure |= !options.tls.enabled() && !IsLoopback(address);
  }
  return absl::OkStatus();
}

}  // namespace

RouterOptions ParseRouterOptions(int argc, char** argv, int& exit_code) {
  RouterOptions options;
  options.listen = "127.0.0.1:9000";
  options.http.listen.clear();
  Flags flags;
  CLI::App app(
      "Batches requests for a pool of regatta-worker processes and streams their tokens back.",
      "regatta-router");
  app.footer(
      "Example:\n  regatta-router --model tests/models/regatta-dense --workers "
      "host-a:9001,host-b:9001 --tp 2 --listen 127.0.0.1:9000 --http 127.0.0.1:8000");
  AddFlags(app, flags, options);
  exit_code = ParseFlags(app, argc, argv);
  if (exit_code >= 0) return options;
  const absl::Status status = Resolve(flags, options);
  if (!status.ok()) {
    std::cerr << "regatta-router: " << status.message() << "\n";
    exit_code = 2;
  }
  return options;
}

}  // namespace regatta
