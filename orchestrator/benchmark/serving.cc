// Options to processes, or a URL to a channel; see serving.h.
#include "orchestrator/benchmark/serving.h"

#include <algorithm>
#include <cstdlib>
#include <iostream>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/config.h"
#include "common/layout.h"
#include "common/limits.h"
#include "common/model_spec.h"
#include "common/status_macros.h"
#include "orchestrator/cluster/cluster_client.h"
#include "orchestrator/cluster/launch_display.h"
#include "orchestrator/grpc/channel.h"
#include "orchestrator/openai/model_list.h"
#include "orchestrator/terminal/printable.h"

namespace regatta {
namespace {

class Arguments {
 public:
  template <typename T>
  void Add(const char* flag, const T& value) {
    words_.push_back(flag);
    words_.push_back(absl::StrCat(value));
  }
  template <typename T>
  void AddIf(const char* flag, const std::optional<T>& value) {
    if (value.has_value()) Add(flag, *value);
  }
  void AddFlag(const char* flag) { words_.push_back(flag); }
  std::vector<std::string> Take() { return std::move(words_); }

 private:
  std::vector<std::string> words_;
};

std::vector<std::string> RouterArguments(const ClusterOptions& options, const Layout& layout) {
  Arguments arguments;
  arguments.Add("--model", options.model);
  if (!options.config.empty()) arguments.Add("--config", options.config);
  arguments.Add("--tp", layout.attention_tp());
  arguments.Add("--pp", layout.pp());
  arguments.Add("--ep", layout.expert_ep());
  arguments.Add("--dp", layout.copies());
  arguments.AddIf("--max-batch-size", options.max_batch_size);
  arguments.AddIf("--max-num-tokens", options.max_num_tokens);
  arguments.AddIf("--max-seq-len", options.max_seq_len);
  arguments.AddIf("--kv-cache-free-gpu-mem-fraction", options.kv_cache_fraction);
  if (!options.dtype.empty()) arguments.Add("--dtype", options.dtype);
  if (options.dummy_weights) {
    arguments.AddFlag("--dummy-weights");
    arguments.AddFlag("--random-next-ids");
  }
  arguments.AddIf("--dummy-router-skew", options.dummy_router_skew);
  if (!options.quantization.empty()) arguments.Add("--quantization", options.quantization);
  if (options.deterministic) arguments.AddFlag("--deterministic");
  if (!options.kv_cache_dtype.empty()) arguments.Add("--kv-cache-dtype", options.kv_cache_dtype);
  return arguments.Take();
}

// Of a benchmark, beside those.
std::vector<std::string> BenchmarkArguments(const BenchmarkOptions& options,
                                            const WorkloadMeans& means) {
  Arguments arguments;
  if (!options.prefix_cache) arguments.AddFlag("--no-prefix-cache");
  if (means.input > 0) arguments.Add("--mean-input-length", means.input);
  if (means.output > 0) arguments.Add("--mean-output-length", means.output);
  // Everything has ended when the cluster is stopped; what has not is not worth waiting for.
  arguments.Add("--drain-timeout", 1);
  // Nobody restarts a worker here: requests that no group can serve fail soon.
  arguments.Add("--unavailable-timeout", 5);
  return arguments.Take();
}

// What flags say of the configuration file's keys.
ServerConfig ConfigOfFlags(const ClusterOptions& options) {
  ServerConfig config;
  const auto set = [&config](const std::optional<uint32_t>& value,
                             void (ServerConfig::*setter)(uint32_t)) {
    if (value.has_value()) (config.*setter)(*value);
  };
  set(options.tp, &ServerConfig::set_tensor_parallel_size);
  set(options.pp, &ServerConfig::set_pipeline_parallel_size);
  set(options.ep, &ServerConfig::set_moe_expert_parallel_size);
  set(options.dp, &ServerConfig::set_data_parallel_size);
  set(options.max_seq_len, &ServerConfig::set_max_seq_len);
  if (!options.dtype.empty()) config.set_dtype(options.dtype);
  if (!options.kv_cache_dtype.empty()) {
    config.mutable_kv_cache_config()->set_dtype(options.kv_cache_dtype);
  }
  return config;
}

// Flags over the file, each checked by itself: the router drops what a flag takes from the file's
// graphs.
absl::StatusOr<ServerConfig> ConfigToLaunch(const ClusterOptions& options,
                                            std::vector<std::string>& ignored) {
  const ServerConfig flags = ConfigOfFlags(options);
  RETURN_IF_ERROR(CheckServerConfig(flags));
  ServerConfig config;
  if (!options.config.empty()) {
    RETURN_IF_ERROR(LoadServerConfig(options.config, config, ignored));
  }
  config.MergeFrom(flags);
  return config;
}

uint32_t AtLeastOne(uint32_t size) { return std::max(size, 1u); }

bool IsHttp(absl::string_view url) {
  return absl::StartsWith(url, "http://") || absl::StartsWith(url, "https://");
}

constexpr absl::Duration kUntilItListens = absl::Seconds(10);
constexpr absl::Duration kUntilItAnswers = absl::Seconds(5);  // once it has served

// How long nothing may speak HTTP behind a URL: a wrong port is told soon, unless asked to wait.
absl::Duration SilenceLimit(const ClusterOptions& options) {
  const absl::Duration timeout = absl::Seconds(options.launch_timeout_s);
  return options.waits ? timeout : std::min(timeout, kUntilItListens);
}

// The model of a server that may still be starting. Whoever waits is told for what, and until when.
absl::StatusOr<ListedModel> AwaitFirstModel(const OpenAiServer& server,
                                            const ClusterOptions& options,
                                            const std::atomic<bool>& stop) {
  const ModelPatience patience = {SilenceLimit(options), absl::Seconds(options.launch_timeout_s)};
  const auto text = [&](absl::Duration limit) {
    return absl::StrCat(absl::FormatDuration(limit), options.waits ? " (--launch-timeout)" : "");
  };
  absl::Duration waited = absl::ZeroDuration(), last = patience.silent;
  const auto tell = [&](const absl::Status& why, absl::Duration limit) {
    last = limit;
    if (std::exchange(waited, limit) == limit) return;
    std::cerr << "waiting for " << server.url.ToString() << ", up to " << text(limit) << ": "
              << Printable(why.message()) << std::endl;
  };
  const auto model = FirstModel(server.url, server.api_key, patience, stop, tell);
  if (!absl::IsUnavailable(model.status()) && !absl::IsDeadlineExceeded(model.status())) {
    return model;
  }
  return absl::Status(
      model.status().code(),
      absl::StrCat(server.url.ToString(), " has not served within ", text(last), ": ",
                   model.status().message(),
                   "; is it running, and is this the port and scheme (http, https; grpc:// of a "
                   "router) of its API?",
                   options.waits ? ""
                                 : " One that is still starting is waited for with "
                                   "--launch-timeout SECONDS"));
}

// The key comes from the environment, as for other clients: command lines are seen by everybody.
absl::StatusOr<Serving> ConnectToHttp(const BenchmarkOptions& options,
                                      const std::atomic<bool>& stop) {
  OpenAiServer server;
  ASSIGN_OR_RETURN(server.url, ParseHttpUrl(options.url));
  ASSIGN_OR_RETURN(server.body.endpoint, ParseEndpoint(options.endpoint));
  server.body.continuous_usage = options.continuous_usage;
  if (const char* key = std::getenv("OPENAI_API_KEY")) server.api_key = key;
  server.body.model = options.model_name;
  Serving serving;
  if (server.body.model.empty()) {
    ASSIGN_OR_RETURN(const ListedModel listed, AwaitFirstModel(server, options.cluster, stop));
    server.body.model = listed.name;
    serving.description.mutable_limits()->set_max_seq_len(listed.max_model_len);
  }
  serving.description.set_model_name(Printable(server.body.model));
  WorkerDescription& device = *serving.description.add_workers()->mutable_description();
  device.set_device_kind(kRemoteDevice);
  device.set_device_name(server.url.ToString());
  device.set_host(server.url.host);
  serving.http = std::move(server);
  return serving;
}

}  // namespace

std::string Serving::Name() const {
  if (http.has_value()) return absl::StrCat("the server at ", http->url.ToString());
  return local != nullptr ? "the cluster launched here" : absl::StrCat("the router at ", address);
}

absl::Status Serving::Check() const {
  if (http.has_value()) {
    const std::atomic<bool> never = false;
    return FirstModel(http->url, http->api_key, {kUntilItAnswers, kUntilItAnswers}, never).status();
  }
  if (local != nullptr) RETURN_IF_ERROR(local->Check());
  return DescribeCluster(channel, kUntilItAnswers).status();
}

void Serving::Refresh() {
  if (channel == nullptr) return;
  absl::StatusOr<ClusterDescription> now = DescribeCluster(channel, absl::Seconds(5));
  if (now.ok()) description = *std::move(now);
}

absl::Status Serving::CheckLengths(const Dataset& dataset) const {
  const std::string server =
      absl::StrCat(" of the server at ", http ? http->url.ToString() : address);
  RETURN_IF_ERROR(CheckRequestLengths(
      dataset, {description.limits().max_seq_len(), "max_seq_len" + server, ""}));
  if (description.chunked_prefill()) return absl::OkStatus();
  return CheckPromptLengths(dataset,
                            {description.limits().max_num_tokens(), "max_num_tokens" + server,
                             "raise it there, or have it chunk prompts"});
}

absl::StatusOr<std::vector<std::unique_ptr<Target>>> Serving::MakeTargets(StreamMode mode,
                                                                          uint32_t count) const {
  std::vector<std::unique_ptr<Target>> targets(count);
  for (std::unique_ptr<Target>& target : targets) {
    if (http.has_value()) {
      ASSIGN_OR_RETURN(target, OpenAiTarget::Make(*http, absl::Seconds(10)));
    } else {
      ASSIGN_OR_RETURN(auto own, Connect(address, tls, absl::Seconds(10)));
      target = MakeGrpcTarget(std::move(own), mode);
    }
  }
  return targets;
}

absl::StatusOr<Layout> LayoutToLaunch(const ClusterOptions& options, std::ostream& notes) {
  std::vector<std::string> ignored;
  ASSIGN_OR_RETURN(const ServerConfig config, ConfigToLaunch(options, ignored));
  for (const std::string& key : ignored) {
    notes << "! " << options.config << ": '" << key
          << "' is TensorRT-LLM's and has no effect here\n";
  }
  if (options.model.empty()) {
    return absl::InvalidArgumentError("give --model DIR, or --url of a running router");
  }
  ASSIGN_OR_RETURN(const ModelSpec spec, LoadModelSpec(options.model));
  ASSIGN_OR_RETURN(const Layout layout, MakeLayout(spec, AtLeastOne(config.tensor_parallel_size()),
                                                   AtLeastOne(config.pipeline_parallel_size()),
                                                   AtLeastOne(config.moe_expert_parallel_size()),
                                                   AtLeastOne(config.data_parallel_size())));
  RETURN_IF_ERROR(CheckMaxSeqLen(spec, config.max_seq_len()));
  return layout;
}

absl::Status CheckLengthsToLaunch(const ClusterOptions& options, const Dataset& dataset) {
  std::vector<std::string> ignored;
  ASSIGN_OR_RETURN(const ServerConfig config, ConfigToLaunch(options, ignored));
  ASSIGN_OR_RETURN(const ModelSpec spec, LoadModelSpec(options.model));
  const uint32_t asked = config.max_seq_len();
  const auto context = static_cast<uint32_t>(spec.max_position);
  LengthLimit longest = {context, absl::StrCat("the context of ", spec.name), ""};
  if (asked != 0 && asked != context) {
    longest = {asked, options.max_seq_len ? "--max-seq-len" : "max_seq_len of --config",
               absl::StrCat("raise it, to at most ", context)};
  }
  RETURN_IF_ERROR(CheckRequestLengths(dataset, longest));
  if (!config.has_enable_chunked_prefill() || config.enable_chunked_prefill()) {
    return absl::OkStatus();
  }
  return CheckPromptLengths(dataset, {config.max_num_tokens(), "max_num_tokens",
                                      "raise it, or leave enable_chunked_prefill on"});
}

uint32_t WorkersToLaunch(const ClusterOptions& options, const Layout& layout) {
  return std::max(options.pool, WorldSize(layout));
}

LaunchOptions LaunchOptionsOf(const ClusterOptions& options, const Layout& layout,
                              const std::string& log_dir) {
  LaunchOptions launch;
  launch.bin_dir = options.bin_dir;
  launch.log_dir = log_dir;
  launch.workers = WorkersToLaunch(options, layout);
  launch.device = options.device;
  launch.threads = options.threads;
  launch.router_arguments = RouterArguments(options, layout);
  launch.ready_timeout = absl::Seconds(options.launch_timeout_s);
  return launch;
}

absl::StatusOr<Serving> LaunchBenchmarkCluster(const BenchmarkOptions& options,
                                               const Layout& layout, const WorkloadMeans& means,
                                               const std::string& log_dir,
                                               const std::atomic<bool>& stop) {
  LaunchOptions launch = LaunchOptionsOf(options.cluster, layout, log_dir);
  for (std::string& argument : BenchmarkArguments(options, means)) {
    launch.router_arguments.push_back(std::move(argument));
  }
  LaunchDisplay display(stderr);
  launch.on_progress = [&](const std::string& stage, double done) { display.Update(stage, done); };
  Serving serving;
  ASSIGN_OR_RETURN(serving.local, LocalCluster::Launch(launch, stop));
  display.Finish();
  serving.channel = serving.local->channel();
  serving.address = serving.local->router_address();
  serving.description = serving.local->description();
  return serving;
}

absl::StatusOr<Serving> ConnectToCluster(const BenchmarkOptions& options,
                                         const std::atomic<bool>& stop) {
  if (IsHttp(options.url)) return ConnectToHttp(options, stop);
  Serving serving;
  ASSIGN_OR_RETURN(serving.address, AddressOfUrl(options.url));
  serving.tls = options.tls;
  const absl::Duration timeout = absl::Seconds(options.cluster.launch_timeout_s);
  ASSIGN_OR_RETURN(serving.channel,
                   Connect(serving.address, options.tls, std::min(timeout, kUntilItListens)));
  ASSIGN_OR_RETURN(serving.description, AwaitReady(serving.channel, timeout, [&] {
                     return stop.load() ? absl::CancelledError("interrupted") : absl::OkStatus();
                   }));
  return serving;
}

}  // namespace regatta
