// Launch, watch, drain; see serve.h.
#include "orchestrator/serve/serve.h"

#include <stdlib.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <future>
#include <iostream>
#include <memory>
#include <optional>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "common/edge/api_keys.h"
#include "common/edge/server_tls.h"
#include "common/layout.h"
#include "common/status_macros.h"
#include "orchestrator/benchmark/serving.h"
#include "orchestrator/cluster/cluster_client.h"
#include "orchestrator/cluster/launch_display.h"
#include "orchestrator/cluster/model_check.h"
#include "orchestrator/commands/commands.h"
#include "orchestrator/http/http_client.h"
#include "orchestrator/hub/model_argument.h"
#include "orchestrator/serve/listen_check.h"
#include "orchestrator/serve/serve_text.h"
#include "orchestrator/terminal/interrupt.h"

namespace regatta {
namespace {

namespace fs = std::filesystem;

constexpr int kFaultWithinLines = 50;  // of the router's log
constexpr absl::Duration kPollEvery = absl::Milliseconds(50);
constexpr absl::Duration kLookEvery = absl::Seconds(1);
constexpr char kRepartitioning[] = "repartitioning";  // ClusterState.phase
constexpr absl::Duration kSayLoadEvery = absl::Seconds(10);
constexpr absl::Duration kServerTimeout = absl::Seconds(5);
constexpr absl::Duration kHttpTimeout = absl::Seconds(10);
constexpr absl::Duration kGraceAfterDrain = absl::Seconds(5);

// A directory of this run's own: two servers never share address files.
absl::StatusOr<std::string> MakeLogDirectory(const std::string& parent) {
  std::error_code error;
  const fs::path root = parent.empty() ? fs::temp_directory_path(error) : fs::path(parent);
  fs::create_directories(root, error);
  std::string path = (root / "regatta-serve-XXXXXX").string();
  if (::mkdtemp(path.data()) != nullptr) return path;
  return absl::UnavailableError(
      absl::StrCat("--log-dir: cannot create '", path, "': ", std::strerror(errno)));
}

// Keys and certificates, which the router reads once workers run.
absl::Status CheckEdgeFiles(const ServeOptions& options) {
  if (!options.tls_cert.empty()) {
    RETURN_IF_ERROR(LoadServerTls(options.tls_cert, options.tls_key).status());
  }
  return options.api_key_file.empty() ? absl::OkStatus()
                                      : ApiKeys::Load(options.api_key_file, nullptr).status();
}

uint32_t RunningGroups(const ClusterDescription& cluster) {
  return std::count_if(cluster.groups().begin(), cluster.groups().end(),
                       [](const auto& group) { return group.state() == "running"; });
}

// What the router says of itself.
struct Look {
  absl::StatusOr<ClusterDescription> cluster;
  absl::StatusOr<ClusterState> state;
  bool re_forming = false;  // before `cluster` was asked for or after: it may have begun, or ended
};

bool IsReForming(const absl::StatusOr<ClusterState>& state) {
  return state.ok() && state->phase() == kRepartitioning;
}

class Server {
 public:
  explicit Server(ServeOptions options) : options_(std::move(options)), stop_(InterruptFlag()) {}

  // OK once told to end and drained; CANCELLED when told so before it served. What was started
  // runs on after an error, until End.
  absl::Status Run();
  // Ends what runs, and removes a temporary directory of logs when all `went_well`.
  void End(bool went_well);

 private:
  absl::Status TakeModel();
  absl::Status LaunchAndServe(const Layout& layout);
  absl::Status Launch(const Layout& layout);
  // Where the router tells the port that --port 0 has become.
  std::string HttpAddressFile() const { return log_dir_ + "/http.address"; }
  void TakeHttpAddress();
  absl::Status AwaitHttp();
  absl::Status Watch();
  void BeginLook();
  absl::Status LookAtGroups(const Look& look);
  std::string LastFault() const;
  void SayLoad(const absl::StatusOr<ClusterState>& state);
  void Drain();

  ServeOptions options_;
  const std::atomic<bool>& stop_;
  std::string log_dir_;
  std::unique_ptr<LocalCluster> cluster_;
  uint32_t running_groups_ = 0;                   // seen last
  std::optional<absl::Time> down_;                // since when no group runs
  std::optional<ClusterState> load_;              // said last
  absl::Time say_load_ = absl::InfiniteFuture();  // when next
  std::future<Look> look_;  // on a thread of its own: a busy router must hear of Ctrl-C at once
};

absl::Status Server::Run() {
  RETURN_IF_ERROR(CheckListenAddress(options_.host, options_.port));
  RETURN_IF_ERROR(CheckEdgeFiles(options_));
  RETURN_IF_ERROR(TakeModel());
  ASSIGN_OR_RETURN(const Layout layout, LayoutToLaunch(options_.cluster, std::cerr));
  ASSIGN_OR_RETURN(log_dir_, MakeLogDirectory(options_.log_dir));
  return LaunchAndServe(layout);
}

void Server::End(bool went_well) {
  cluster_.reset();
  std::error_code ignored;
  if (options_.log_dir.empty() && went_well) fs::remove_all(log_dir_, ignored);
}

absl::Status Server::LaunchAndServe(const Layout& layout) {
  RETURN_IF_ERROR(Launch(layout));
  TakeHttpAddress();
  RETURN_IF_ERROR(AwaitHttp());
  std::cerr << ReadyText(options_, cluster_->description(), cluster_->router_address());
  RETURN_IF_ERROR(Watch());
  Drain();
  return absl::OkStatus();
}

// A model that is named as on the Hub is pulled, and served under that name.
absl::Status Server::TakeModel() {
  ClusterOptions& cluster = options_.cluster;
  const ModelParts parts = cluster.dummy_weights ? ModelParts::kWithoutWeights : ModelParts::kAll;
  ASSIGN_OR_RETURN(const std::string directory, ResolveModel(cluster.model, parts, stop_));
  if (directory != cluster.model && options_.served_model_name.empty()) {
    options_.served_model_name = cluster.model;
  }
  cluster.model = directory;
  RETURN_IF_ERROR(CheckModelFiles(cluster));
  return CheckTextFiles(directory);
}

absl::Status Server::Launch(const Layout& layout) {
  std::cerr << "Starting " << WorldSize(layout) << (WorldSize(layout) == 1 ? " worker" : " workers")
            << " and a router (" << LayoutName(layout) << "); logs in " << log_dir_ << "\n";
  LaunchOptions launch = LaunchOptionsOf(options_.cluster, layout, log_dir_);
  for (std::string& argument : ServeRouterArguments(options_, HttpAddressFile())) {
    launch.router_arguments.push_back(std::move(argument));
  }
  launch.restart_workers = true;
  launch.router_grace = absl::Seconds(options_.drain_timeout_s) + kGraceAfterDrain;
  LaunchDisplay display(stderr);
  launch.on_progress = [&](const std::string& stage, double done) { display.Update(stage, done); };
  ASSIGN_OR_RETURN(cluster_, LocalCluster::Launch(launch, stop_));
  display.Finish();
  running_groups_ = RunningGroups(cluster_->description());
  return absl::OkStatus();
}

void Server::TakeHttpAddress() {
  std::ifstream file(HttpAddressFile());
  std::string address;
  uint32_t port = 0;
  if (std::getline(file, address) &&
      absl::SimpleAtoi(address.substr(address.rfind(':') + 1), &port)) {
    options_.port = port;
  }
}

// Groups run by now; what is asked here is whether clients will be answered where they are told to
// ask.
absl::Status Server::AwaitHttp() {
  HttpCall call;
  ASSIGN_OR_RETURN(call.url, ParseHttpUrl(ServeUrl(options_) + "/ready"));
  call.pinned_certificate = options_.tls_cert;
  call.connect_timeout = call.idle_timeout = kServerTimeout;
  call.stop = &stop_;
  const absl::Time deadline = absl::Now() + kHttpTimeout;
  while (true) {
    const auto answer = PerformHttp(call);
    if (answer.ok() && answer->status == 200) return absl::OkStatus();
    if (absl::IsCancelled(answer.status())) return answer.status();
    RETURN_IF_ERROR(cluster_->Check());
    if (absl::Now() > deadline || absl::IsFailedPrecondition(answer.status())) {
      const std::string why = answer.ok()
                                  ? absl::StrCat("status ", answer->status, ", ", answer->body)
                                  : std::string(answer.status().message());
      return absl::UnavailableError(absl::StrCat("the router serves, but ", call.url.ToString(),
                                                 " does not: ", why, "; logs in ", log_dir_));
    }
    absl::SleepFor(kPollEvery);
  }
}

// Until told to stop, or until the cluster cannot be expected to serve again.
absl::Status Server::Watch() {
  absl::Time next_look = absl::Now() + kLookEvery;
  if (options_.verbose) say_load_ = absl::Now() + kSayLoadEvery;
  while (!stop_.load()) {
    absl::SleepFor(kPollEvery);
    if (stop_.load()) break;  // service managers may signal the children at the same time
    RETURN_IF_ERROR(cluster_->Check());
    if (!look_.valid()) {
      if (absl::Now() >= next_look) BeginLook();
    } else if (look_.wait_for(std::chrono::seconds(0)) == std::future_status::ready) {
      const Look look = look_.get();
      RETURN_IF_ERROR(LookAtGroups(look));
      if (absl::Now() >= say_load_) SayLoad(look.state);
      next_look = absl::Now() + kLookEvery;
    }
  }
  return absl::OkStatus();
}

void Server::BeginLook() {
  look_ = std::async(std::launch::async, [channel = cluster_->channel()]() mutable {
    const bool began = IsReForming(ReadClusterState(channel, kServerTimeout));
    Look look{DescribeCluster(channel, kServerTimeout), ReadClusterState(channel, kServerTimeout)};
    look.re_forming = began || IsReForming(look.state);
    channel.reset();  // A router that ends waits for its clients to leave.
    return look;
  });
}

// Says when copies of the model come and go: the router forms them again from restarted workers, or
// for another layout.
absl::Status Server::LookAtGroups(const Look& look) {
  const absl::StatusOr<ClusterDescription>& cluster = look.cluster;
  const uint32_t running = cluster.ok() ? RunningGroups(*cluster) : 0;
  const uint32_t all = cluster.ok() ? std::max(1u, cluster->layout().copies()) : running_groups_;
  if (running != running_groups_) {
    std::cerr << CopiesText(running, running_groups_, all, look.re_forming, log_dir_,
                            cluster.ok() ? LastFault() : "it does not answer")
              << "\n";
    running_groups_ = running;
  }
  if (running > 0) {
    down_.reset();
    return absl::OkStatus();
  }
  if (!down_.has_value()) down_ = absl::Now();
  const absl::Duration patience = absl::Seconds(options_.cluster.launch_timeout_s);
  if (absl::Now() - *down_ < patience) return absl::OkStatus();
  return absl::UnavailableError(
      absl::StrCat("nothing has been served for ", absl::FormatDuration(patience),
                   " (--launch-timeout); logs in ", log_dir_, "; the router's last lines:\n",
                   cluster_->RouterLogTail(15)));
}

// Why the router gave a group up; it may have formed the next one already and have said so.
std::string Server::LastFault() const {
  std::string fault = "it has not said why";
  const std::string log = cluster_->RouterLogTail(kFaultWithinLines);
  for (const absl::string_view line : absl::StrSplit(log, '\n')) {
    if (absl::StrContains(line, " is fenced: "))
      fault = std::string(line.substr(line.find(": ") + 2));
  }
  return fault;
}

void Server::SayLoad(const absl::StatusOr<ClusterState>& state) {
  say_load_ = absl::Now() + kSayLoadEvery;
  if (!state.ok()) return;
  if (load_.has_value()) std::cerr << LoadText(*load_, *state) << "\n";
  load_ = *state;
}

void Server::Drain() {
  std::cerr << "\nDraining: running requests have " << options_.drain_timeout_s
            << " s (--drain-timeout); a second Ctrl-C ends at once\n";
  cluster_.reset();
}

}  // namespace

std::vector<std::string> ServeRouterArguments(const ServeOptions& options,
                                              const std::string& http_address_file) {
  std::vector<std::string> arguments = {
      "--http",
      absl::StrCat(BracketedHost(options.host), ":", options.port),
      "--http-address-file",
      http_address_file,
      "--drain-timeout",
      absl::StrCat(options.drain_timeout_s)};
  const auto add = [&](const char* flag, const std::string& value) {
    if (!value.empty()) arguments.insert(arguments.end(), {flag, value});
  };
  add("--http-tls-cert", options.tls_cert);
  add("--http-tls-key", options.tls_key);
  add("--api-key-file", options.api_key_file);
  add("--served-model-name", options.served_model_name);
  add("--tool-call-syntax", options.tool_call_syntax);
  add("--http-cors-origin", options.cors_origin);
  const auto add_number = [&](const char* flag, const auto& value) {
    if (value.has_value()) add(flag, absl::StrCat(*value));
  };
  add_number("--http-max-body", options.max_body);
  add_number("--http-max-connections", options.max_connections);
  add_number("--http-max-connections-per-peer", options.max_connections_per_peer);
  add_number("--max-queue-size", options.max_queue_size);
  if (options.metrics_vllm_names) arguments.push_back("--metrics-vllm-names");
  return arguments;
}

int Serve(ServeOptions options) {
  Server server(std::move(options));
  const absl::Status status = server.Run();
  const bool cancelled = absl::IsCancelled(status);
  // What went wrong is said first: to end takes a while.
  const int code = cancelled ? kExitOk : ExitCodeOf(status);
  server.End(code == kExitOk);
  if (cancelled) std::cerr << "\nEnded before it served.\n";
  return code;
}

}  // namespace regatta
