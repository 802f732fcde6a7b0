// Launch, watch, drain; see serve.h.
#include "orchestrator/serve.h"

#include <stdlib.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <memory>
#include <optional>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/layout.h"
#include "common/status_macros.h"
#include "orchestrator/cluster_client.h"
#include "orchestrator/commands.h"
#include "orchestrator/hub/model_argument.h"
#include "orchestrator/interrupt.h"
#include "orchestrator/launch_display.h"
#include "orchestrator/serve_text.h"
#include "orchestrator/serving.h"

namespace regatta {
namespace {

namespace fs = std::filesystem;

constexpr absl::Duration kLookEvery = absl::Seconds(1);
constexpr absl::Duration kSayLoadEvery = absl::Seconds(10);
constexpr absl::Duration kAnswerTimeout = absl::Seconds(5);
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

uint32_t RunningGroups(const ClusterDescription& cluster) {
  return std::count_if(cluster.groups().begin(), cluster.groups().end(),
                       [](const auto& group) { return group.state() == "running"; });
}

// host:port as --http of the router takes it.
std::string HttpAddress(const ServeOptions& options) {
  const bool bare_ipv6 = absl::StrContains(options.host, ':') && options.host.front() != '[';
  return bare_ipv6 ? absl::StrCat("[", options.host, "]:", options.port)
                   : absl::StrCat(options.host, ":", options.port);
}

// The router knows its own flags; who typed ours is told which of them to change.
absl::Status ExplainAddress(const absl::Status& failure, const std::string& address) {
  if (!absl::StrContains(failure.message(), absl::StrCat("cannot listen on ", address))) {
    return failure;
  }
  return absl::Status(
      failure.code(),
      absl::StrCat("cannot serve on ", address,
                   ": choose another --port (0 = any free one) or --host\n", failure.message()));
}

class Server {
 public:
  explicit Server(ServeOptions options) : options_(std::move(options)), stop_(InterruptFlag()) {}

  // OK after a drain; CANCELLED when interrupted before it served.
  absl::Status Run();

 private:
  absl::Status TakeModel();
  absl::Status Launch(const Layout& layout);
  // Where the router tells the port that --port 0 has become.
  std::string HttpAddressFile() const { return log_dir_ + "/http.address"; }
  void TakeHttpAddress();
  absl::Status Watch();
  absl::Status LookAtGroups();
  void SayLoad();
  void Drain();

  ServeOptions options_;
  const std::atomic<bool>& stop_;
  std::string log_dir_;
  std::unique_ptr<LocalCluster> cluster_;
  uint32_t running_groups_ = 0;       // seen last
  std::optional<absl::Time> down_;    // since when no group runs
  std::optional<ClusterState> load_;  // said last
};

absl::Status Server::Run() {
  RETURN_IF_ERROR(TakeModel());
  ASSIGN_OR_RETURN(const Layout layout, LayoutToLaunch(options_.cluster));
  ASSIGN_OR_RETURN(log_dir_, MakeLogDirectory(options_.log_dir));
  RETURN_IF_ERROR(Launch(layout));
  TakeHttpAddress();
  std::cerr << ReadyText(options_, cluster_->description(), cluster_->router_address());
  RETURN_IF_ERROR(Watch());
  Drain();
  std::error_code ignored;
  if (options_.log_dir.empty()) fs::remove_all(log_dir_, ignored);  // nothing went wrong
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
  return absl::OkStatus();
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
  absl::StatusOr<std::unique_ptr<LocalCluster>> cluster = LocalCluster::Launch(launch, stop_);
  if (!cluster.ok()) return ExplainAddress(cluster.status(), HttpAddress(options_));
  cluster_ = *std::move(cluster);
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

// Until told to stop, or until the cluster cannot be expected to serve again.
absl::Status Server::Watch() {
  absl::Time look = absl::Now() + kLookEvery, say = absl::Now() + kSayLoadEvery;
  while (!stop_.load()) {
    absl::SleepFor(absl::Milliseconds(50));
    RETURN_IF_ERROR(cluster_->Check());
    const absl::Time now = absl::Now();
    if (now >= look) {
      RETURN_IF_ERROR(LookAtGroups());
      look = absl::Now() + kLookEvery;
    }
    if (options_.verbose && now >= say) {
      SayLoad();
      say = absl::Now() + kSayLoadEvery;
    }
  }
  return absl::OkStatus();
}

// Says when copies of the model come and go: the router forms them again from restarted workers.
absl::Status Server::LookAtGroups() {
  const auto cluster = DescribeCluster(cluster_->channel(), kAnswerTimeout);
  const uint32_t running = cluster.ok() ? RunningGroups(*cluster) : 0;
  const uint32_t all = cluster.ok() ? std::max(1u, cluster->layout().copies()) : running_groups_;
  if (running != running_groups_) {
    std::cerr << (running < all ? "! " : "  ") << running << " of " << all
              << (all == 1 ? " copy" : " copies") << " of the model running";
    if (running < running_groups_) {
      std::cerr << "; workers are started again, see " << log_dir_
                << ". The router: " << cluster_->RouterLogTail(1);
    }
    std::cerr << "\n";
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

void Server::SayLoad() {
  const auto state = ReadClusterState(cluster_->channel(), kAnswerTimeout);
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
      "--http",          HttpAddress(options), "--http-address-file",
      http_address_file, "--drain-timeout",    absl::StrCat(options.drain_timeout_s)};
  const auto add = [&](const char* flag, const std::string& value) {
    if (!value.empty()) arguments.insert(arguments.end(), {flag, value});
  };
  add("--http-tls-cert", options.tls_cert);
  add("--http-tls-key", options.tls_key);
  add("--api-key-file", options.api_key_file);
  add("--served-model-name", options.served_model_name);
  return arguments;
}

int Serve(ServeOptions options) { return ExitCodeOf(Server(std::move(options)).Run()); }

}  // namespace regatta
