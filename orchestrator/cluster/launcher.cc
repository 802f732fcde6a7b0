// Start order, readiness and teardown of a local cluster; see launcher.h.
#include "orchestrator/cluster/launcher.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <thread>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "absl/time/clock.h"
#include "common/atomic_file.h"
#include "common/status_macros.h"
#include "orchestrator/cluster/cluster_client.h"
#include "orchestrator/grpc/channel.h"

namespace regatta {
namespace {

namespace fs = std::filesystem;

constexpr absl::Duration kGrace = absl::Seconds(5);
constexpr absl::Duration kGraceWithoutWorkers = absl::Seconds(2);
constexpr int kLogLines = 15;
constexpr absl::Duration kListTimeout = absl::Seconds(20);

uint32_t ThreadsPerRank(const LaunchOptions& options) {
  if (options.threads > 0) return options.threads;
  return std::max(1u, std::thread::hardware_concurrency() / std::max(1u, options.workers));
}

std::vector<std::string> Lines(const std::string& path) {
  std::vector<std::string> lines;
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    absl::StripAsciiWhitespace(&line);
    if (!line.empty()) lines.push_back(line);
  }
  return lines;
}

// What a program logged last; of one that could log nothing, why nothing can be written there.
std::string LastWords(const ChildProcess& child) {
  const std::string lines = child.LogTail(kLogLines);
  if (!lines.empty()) return lines;
  const std::string trial = child.log_path() + ".trial";
  const absl::Status status = WriteFileAtomically(trial, std::string(4096, ' '));
  std::error_code ignored;
  fs::remove(trial, ignored);
  return status.ok() ? "(none)" : absl::StrCat("(none: ", status.message(), ")");
}

}  // namespace

std::string OwnDirectory() {
  std::error_code error;
  return fs::read_symlink("/proc/self/exe", error).parent_path().string();
}

absl::StatusOr<std::unique_ptr<LocalCluster>> LocalCluster::Launch(const LaunchOptions& options,
                                                                   const std::atomic<bool>& stop) {
  std::unique_ptr<LocalCluster> cluster(new LocalCluster(options));
  cluster->deadline_ = absl::Now() + options.ready_timeout;
  ASSIGN_OR_RETURN(const std::vector<std::string> devices, cluster->ChooseDevices(stop));
  RETURN_IF_ERROR(cluster->StartWorkers(devices));
  const size_t of_each = options.restart_workers ? options.workers : 1;
  for (const auto& worker : cluster->workers_) {
    ASSIGN_OR_RETURN(const auto addresses, cluster->AwaitAddresses(*worker, of_each, stop));
    cluster->worker_addresses_.insert(cluster->worker_addresses_.end(), addresses.begin(),
                                      addresses.end());
  }
  RETURN_IF_ERROR(cluster->StartRouter());
  RETURN_IF_ERROR(cluster->AwaitCluster(stop));
  return cluster;
}

LocalCluster::~LocalCluster() {
  channel_.reset();  // a router waits for its clients to leave
  // The router first: it dissolves its groups in order while the workers still answer.
  const bool complete = std::none_of(workers_.begin(), workers_.end(), [](const auto& worker) {
    return worker->Ended().has_value();
  });
  // Without workers no request of a drain comes to its end.
  StopAll(router_,
          complete ? options_.router_grace : std::min(options_.router_grace, kGraceWithoutWorkers));
  StopAll(workers_, kGrace);
}

std::string LocalCluster::ProgramPath(const std::string& program) const {
  const fs::path bin_dir = options_.bin_dir.empty() ? OwnDirectory() : options_.bin_dir;
  return (bin_dir / program).string();
}

std::string LocalCluster::AddressFile(const std::string& name) const {
  return (fs::path(options_.log_dir) / (name + ".address")).string();
}

absl::Status LocalCluster::StartProgram(const std::string& program, const std::string& name,
                                        std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), ProgramPath(program));
  std::error_code absent;
  std::filesystem::remove(AddressFile(name), absent);  // of an earlier cluster
  for (const std::string& more :
       {std::string("--listen"), std::string("127.0.0.1:0"), std::string("--address-file"),
        AddressFile(name), std::string("--exit-with-parent")}) {
    arguments.push_back(more);
  }
  const std::string log = (fs::path(options_.log_dir) / (name + ".log")).string();
  absl::StatusOr<std::unique_ptr<ChildProcess>> started = ChildProcess::Start(name, arguments, log);
  if (absl::IsNotFound(started.status())) {
    return absl::NotFoundError(
        absl::StrCat(started.status().message(), "; --bin-dir says where the programs are"));
  }
  ASSIGN_OR_RETURN(auto child, std::move(started));
  auto& children = program == "regatta-router" ? router_ : workers_;
  children.push_back(std::move(child));
  return absl::OkStatus();
}

absl::StatusOr<std::vector<std::string>> LocalCluster::ChooseDevices(
    const std::atomic<bool>& stop) {
  const std::vector<std::string> cpus(options_.workers, "cpu");
  if (options_.device == "cpu") return cpus;
  const std::string log = (fs::path(options_.log_dir) / "devices.log").string();
  std::error_code absent;
  fs::remove(log, absent);  // of an earlier cluster: logs are appended to
  ASSIGN_OR_RETURN(const auto lister,
                   ChildProcess::Start("regatta-worker --list-devices",
                                       {ProgramPath("regatta-worker"), "--list-devices"}, log));
  const absl::Time deadline = std::min(deadline_, absl::Now() + kListTimeout);
  while (!lister->Ended().has_value() && absl::Now() < deadline && !stop.load()) {
    absl::SleepFor(absl::Milliseconds(5));
  }
  if (stop.load()) return absl::CancelledError("interrupted");
  if (lister->Ended() != "exit code 0") {
    return absl::AbortedError(
        absl::StrCat("regatta-worker --list-devices: ",
                     lister->Ended().value_or("does not end; is the driver well?"),
                     "; its last log lines (", log, "):\n", lister->LogTail(kLogLines)));
  }
  std::vector<std::string> gpus;
  std::ifstream file(log);
  for (std::string line; std::getline(file, line);) {
    if (absl::StartsWith(line, "cuda:")) gpus.push_back(line);
  }
  if (gpus.empty() && options_.device == "auto") return cpus;
  if (gpus.size() < options_.workers) {
    return absl::FailedPreconditionError(
        absl::StrCat("the layout needs ", options_.workers, " GPUs, this host has ", gpus.size(),
                     gpus.empty() ? " that this build sees (it may have no CUDA: make CUDA=1)" : "",
                     "; take a smaller layout, or --device cpu to see it work on CPU ranks"));
  }
  gpus.resize(options_.workers);
  return gpus;
}

absl::Status LocalCluster::StartWorkers(const std::vector<std::string>& devices) {
  const std::string threads = absl::StrCat(ThreadsPerRank(options_));
  if (options_.restart_workers) {
    return StartProgram("regatta-worker", "workers",
                        {"--devices", absl::StrJoin(devices, ","), "--threads", threads});
  }
  for (uint32_t rank = 0; rank < options_.workers; ++rank) {
    RETURN_IF_ERROR(StartProgram("regatta-worker", absl::StrCat("worker-", rank),
                                 {"--device", devices[rank], "--threads", threads}));
  }
  return absl::OkStatus();
}

absl::Status LocalCluster::StartRouter() {
  std::vector<std::string> arguments = options_.router_arguments;
  arguments.push_back("--workers");
  arguments.push_back(absl::StrJoin(worker_addresses_, ","));
  forming_.emplace((fs::path(options_.log_dir) / "router.log").string());
  return StartProgram("regatta-router", "router", std::move(arguments));
}

absl::Status LocalCluster::Check() {
  std::string problems;
  for (const auto* children : {&workers_, &router_}) {
    for (const auto& child : *children) {
      const std::optional<std::string> ended = child->Ended();
      if (!ended.has_value()) continue;
      absl::StrAppend(&problems, problems.empty() ? "" : "\n", child->name(), " ended with ",
                      *ended, "; its last log lines (", child->log_path(), "):\n",
                      LastWords(*child));
    }
  }
  return problems.empty() ? absl::OkStatus() : absl::AbortedError(problems);
}

absl::Status LocalCluster::CheckRunning(const std::atomic<bool>& stop) {
  if (stop.load()) return absl::CancelledError("interrupted");
  if (options_.on_progress) {
    const FormStage stage =
        forming_.has_value() ? forming_->FurthestBehind() : FormStage{"", "start", 0};
    options_.on_progress(stage.stage, stage.fraction);
  }
  return Check();
}

absl::StatusOr<std::vector<std::string>> LocalCluster::AwaitAddresses(
    const ChildProcess& child, size_t count, const std::atomic<bool>& stop) {
  std::vector<std::string> before;
  while (absl::Now() < deadline_) {
    std::vector<std::string> addresses = Lines(AddressFile(child.name()));
    // Seen twice: a file being written may hold half of it.
    if (addresses.size() == count && addresses == before) return addresses;
    before = std::move(addresses);
    RETURN_IF_ERROR(CheckRunning(stop));
    absl::SleepFor(absl::Milliseconds(10));
  }
  return absl::DeadlineExceededError(absl::StrCat(
      child.name(), " does not listen after ", absl::FormatDuration(options_.ready_timeout),
      "; its last log lines (", child.log_path(), "):\n", child.LogTail(kLogLines)));
}

absl::Status LocalCluster::AwaitCluster(const std::atomic<bool>& stop) {
  ASSIGN_OR_RETURN(const auto addresses, AwaitAddresses(*router_.back(), 1, stop));
  router_address_ = addresses.front();
  ASSIGN_OR_RETURN(channel_, Connect(router_address_, TlsOptions(), absl::Seconds(10)));
  absl::StatusOr<ClusterDescription> description =
      AwaitReady(channel_, deadline_ - absl::Now(), [&] { return CheckRunning(stop); });
  if (absl::IsDeadlineExceeded(description.status())) {
    return absl::DeadlineExceededError(
        absl::StrCat(description.status().message(), "; the router's last log lines (",
                     router_.back()->log_path(), "):\n", router_.back()->LogTail(kLogLines)));
  }
  RETURN_IF_ERROR(description.status());
  description_ = *std::move(description);
  return absl::OkStatus();
}

}  // namespace regatta
