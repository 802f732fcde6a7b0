// regatta-router: forms groups of workers and serves requests on them over gRPC until told to stop.
#include <grpcpp/grpcpp.h>
#include <grpcpp/health_check_service_interface.h>
#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <memory>
#include <string>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "common/atomic_file.h"
#include "common/credentials.h"
#include "common/grpc_listener.h"
#include "common/status_macros.h"
#include "router/cluster/cluster_service.h"
#include "router/cluster/coordinator.h"
#include "router/grammar/json_constraint.h"
#include "router/grpc_limits.h"
#include "router/http_edge.h"
#include "router/inference_service.h"
#include "router/memory_return.h"
#include "router/metrics/metrics_route.h"
#include "router/openai/routes.h"
#include "router/openai_front.h"
#include "router/options.h"

namespace regatta {
namespace {

// For answers that are complete to reach their clients.
constexpr absl::Duration kLastAnswers = absl::Seconds(2);
constexpr absl::Duration kLookAtMemoryEvery = absl::Seconds(1);

void LogLine(const std::string& line) {
  std::fprintf(stderr, "regatta-router: %s\n", line.c_str());
}

// SIGINT and SIGTERM, taken by one thread. The first is waited for; the second ends the process at
// once.
class Signals {
 public:
  // Before any other thread starts, so that all of them block the signals.
  Signals() {
    sigemptyset(&set_);
    sigaddset(&set_, SIGINT);
    sigaddset(&set_, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &set_, nullptr);
  }

  void Watch() {
    std::thread([this] {
      int signal = 0;
      sigwait(&set_, &signal);
      if (!serving_) _exit(128 + signal);
      first_.Notify();
      sigwait(&set_, &signal);
      _exit(128 + signal);
    }).detach();
  }
  // Until then there is nothing to drain and a signal ends the process.
  void SetServing() { serving_ = true; }
  // From then on, until the first has come.
  bool serving() const { return serving_ && !first_.HasBeenNotified(); }
  // Waits for the first; false when `timeout` passed before.
  bool Await(absl::Duration timeout) { return first_.WaitForNotificationWithTimeout(timeout); }

 private:
  sigset_t set_;
  std::atomic<bool> serving_ = false;
  absl::Notification first_;
};

// Null for a directory without one.
absl::StatusOr<std::unique_ptr<Tokenizer>> LoadTokenizer(const std::string& model_dir) {
  absl::StatusOr<std::unique_ptr<Tokenizer>> tokenizer = Tokenizer::Load(model_dir);
  if (absl::IsNotFound(tokenizer.status())) return nullptr;
  return tokenizer;
}

// Null for models without a tokenizer, whose tokens stand for no text.
std::unique_ptr<ConstraintCompiler> MakeConstraints(const ModelSpec& spec,
                                                    const Tokenizer* tokenizer) {
  if (tokenizer == nullptr) return nullptr;
  return MakeJsonConstraintCompiler(*tokenizer, spec.eos_token_ids);
}

absl::StatusOr<std::unique_ptr<grpc::Server>> StartServer(const RouterOptions& options,
                                                          InferenceService& inference,
                                                          ClusterService& cluster,
                                                          std::string& address) {
  ASSIGN_OR_RETURN(auto credentials, MakeServerCredentials(options.tls, options.listen));
  grpc::EnableDefaultHealthCheckService(true);
  grpc::ServerBuilder builder;
  int port = 0;
  builder.AddListeningPort(options.listen, credentials, &port);
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  SetLimits(GrpcLimits{}, builder);
  builder.RegisterService(&inference);
  builder.RegisterService(&cluster);
  ASSIGN_OR_RETURN(std::unique_ptr<grpc::Server> server,
                   StartListening(builder, options.listen, port));
  server->GetHealthCheckService()->SetServingStatus(false);
  address = absl::StrCat(options.listen.substr(0, options.listen.rfind(':')), ":", port);
  return server;
}

absl::Status StartHttp(const RouterOptions& options, const ModelSpec& spec,
                       const Tokenizer* tokenizer, Coordinator& coordinator, HttpEdge& http) {
  ASSIGN_OR_RETURN(OpenAiContext api, MakeOpenAiContext(options, spec, tokenizer, coordinator));
  const auto add = [&http](const std::string& method, const std::string& path,
                           HttpHandler handler) {
    http.server().Route(method, path, std::move(handler));
  };
  AddMetricsRoute(http.server(), coordinator.metrics(), api.model_names.front(),
                  options.metrics_vllm_names);
  AddOpenAiRoutes(add, std::move(api));
  return http.Start(options.http_address_file);
}

void AwaitSignal(Signals& signals, const HttpServer& http) {
  MemoryReturn memory;
  while (!signals.Await(kLookAtMemoryEvery)) {
    memory.Look(http.body_bytes_held(), http.body_bytes_freed());
  }
}

absl::Status Serve(RouterOptions& options, Signals& signals) {
  ASSIGN_OR_RETURN(ModelSpec spec, LoadModelSpec(options.model_dir));
  const ModelSource& model = options.coordinator.former.model;
  ASSIGN_OR_RETURN(
      spec.quantization,
      ResolveQuantization(model.quantization(), model.dummy_weights(), spec.quantization));
  ASSIGN_OR_RETURN(const std::unique_ptr<Tokenizer> tokenizer, LoadTokenizer(options.model_dir));
  ASSIGN_OR_RETURN(const std::unique_ptr<Pool> pool, Pool::Create(options.pool));
  std::atomic<grpc::HealthCheckServiceInterface*> health = nullptr;
  std::atomic<bool> serving = false;
  const std::unique_ptr<ConstraintCompiler> constraints = MakeConstraints(spec, tokenizer.get());
  options.coordinator.constraints = constraints.get();
  options.coordinator.log = LogLine;
  options.http.log = LogLine;
  options.coordinator.on_serving = [&health, &serving](bool now) {
    serving = now;
    if (auto* service = health.load()) service->SetServingStatus(now);
  };
  Coordinator coordinator(options.coordinator, spec, tokenizer.get(), *pool);
  InferenceService inference(coordinator);
  ClusterService cluster(coordinator);
  std::string address;
  ASSIGN_OR_RETURN(const std::unique_ptr<grpc::Server> server,
                   StartServer(options, inference, cluster, address));
  health = server->GetHealthCheckService();
  // Early, so that probes hear of a model that is being loaded.
  HttpEdge http(options.http, [&] { return signals.serving() && serving; });
  if (!options.http.listen.empty()) {
    RETURN_IF_ERROR(StartHttp(options, spec, tokenizer.get(), coordinator, http));
  }
  absl::Status status = coordinator.Start();
  if (status.ok() && !options.address_file.empty()) {
    status = WriteFileAtomically(options.address_file, address + "\n");
  }
  if (status.ok()) {
    LogLine(absl::StrCat("serving ", spec.name, " on ", address));
    signals.SetServing();
    AwaitSignal(signals, http.server());
    LogLine("draining; a second signal ends at once");
    http.BeginDrain();
    absl::Notification drained;
    coordinator.Drain(options.drain_timeout,
                      [&drained](const DrainResponse&) { drained.Notify(); });
    drained.WaitForNotification();
    http.Drain(kLastAnswers);
  }
  server->Shutdown(std::chrono::system_clock::now() + absl::ToChronoSeconds(kLastAnswers));
  health = nullptr;
  return status;
}

}  // namespace
}  // namespace regatta

int main(int argc, char** argv) {
  int exit_code = -1;
  regatta::RouterOptions options = regatta::ParseRouterOptions(argc, argv, exit_code);
  if (exit_code >= 0) return exit_code;
  if (options.exit_with_parent) prctl(PR_SET_PDEATHSIG, SIGTERM);
  for (const std::string& key : options.ignored_keys) {
    regatta::LogLine("configuration key '" + key + "' is TensorRT-LLM's and has no effect here");
  }
  for (const std::string& warning : options.warnings) regatta::LogLine(warning);
  regatta::Signals signals;
  signals.Watch();
  const absl::Status status = regatta::Serve(options, signals);
  if (status.ok()) return 0;
  regatta::LogLine(std::string(status.message()));
  return 1;
}
