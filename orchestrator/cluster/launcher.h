// A whole cluster on this host, for the length of one command: worker processes and a router on
// loopback. Starts, awaits, watches and tears down; sends no request.
#pragma once

#include <grpcpp/channel.h>

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "orchestrator/cluster/child_process.h"
#include "orchestrator/cluster/form_watcher.h"
#include "proto/cluster.pb.h"
#include "proto/types.pb.h"

namespace regatta {

struct LaunchOptions {
  std::string bin_dir;   // of regatta-worker and regatta-router; empty = next to this program
  std::string log_dir;   // must exist; logs and address files go there
  uint32_t workers = 1;  // one process per rank
  std::string device = "auto";  // "cuda": a GPU for each; "cpu"; "auto": GPUs where there are any
  uint32_t threads = 0;         // CPU threads of a rank; 0 = the host's CPUs shared among the ranks
  std::vector<std::string> router_arguments;  // --model, layout and limits
  absl::Duration ready_timeout = absl::Seconds(120);
  // A worker that dies is started again on its address, for the router to form its group again;
  // else it stays dead and Check tells.
  bool restart_workers = false;
  // From SIGTERM to SIGKILL; the router's own drain must end before.
  absl::Duration router_grace = absl::Seconds(5);
  // Called while waiting, several times a second: "start" until the programs listen, then the
  // stage of the rank that is furthest behind (common/form_progress.h) and how much of it is done.
  std::function<void(const std::string& stage, double fraction)> on_progress;
};

class LocalCluster {
 public:
  // Returns when every group runs. Call from the main thread (child_process.h). Errors name the
  // process, how it ended and its last log lines; DEADLINE_EXCEEDED after ready_timeout; CANCELLED
  // when `stop` turned true. Nothing is left behind then.
  static absl::StatusOr<std::unique_ptr<LocalCluster>> Launch(const LaunchOptions& options,
                                                              const std::atomic<bool>& stop);
  // SIGTERM to the router, then to the workers; SIGKILL when a grace is over. Drop what else uses
  // channel() before: the router waits for connected clients.
  ~LocalCluster();

  const std::shared_ptr<grpc::Channel>& channel() const { return channel_; }
  const ClusterDescription& description() const { return description_; }
  const std::string& router_address() const { return router_address_; }  // host:port of its gRPC

  // OK while every process runs; otherwise names the dead ones with their last log lines.
  absl::Status Check();

  // The last `lines` lines of the router's log.
  std::string RouterLogTail(int lines) const { return router_.back()->LogTail(lines); }

 private:
  explicit LocalCluster(const LaunchOptions& options) : options_(options) {}

  // The device of each worker; FAILED_PRECONDITION when there are too few.
  absl::StatusOr<std::vector<std::string>> ChooseDevices(const std::atomic<bool>& stop);
  absl::Status StartWorkers(const std::vector<std::string>& devices);
  absl::Status StartRouter();
  absl::Status AwaitCluster(const std::atomic<bool>& stop);
  absl::Status StartProgram(const std::string& program, const std::string& name,
                            std::vector<std::string> arguments);
  // The `count` host:port lines that `child` wrote once it listened.
  absl::StatusOr<std::vector<std::string>> AwaitAddresses(const ChildProcess& child, size_t count,
                                                          const std::atomic<bool>& stop);
  // What every wait does between two looks: reports progress, and fails when there is nothing left
  // to wait for.
  absl::Status CheckRunning(const std::atomic<bool>& stop);
  std::string ProgramPath(const std::string& program) const;
  std::string AddressFile(const std::string& name) const;

  const LaunchOptions options_;
  absl::Time deadline_;
  std::vector<std::unique_ptr<ChildProcess>> workers_;  // or their supervisor alone
  std::vector<std::unique_ptr<ChildProcess>> router_;   // none or one
  std::vector<std::string> worker_addresses_;
  std::optional<FormWatcher> forming_;  // once the router is started
  std::string router_address_;
  std::shared_ptr<grpc::Channel> channel_;
  ClusterDescription description_;
};

// The directory of the running executable.
std::string OwnDirectory();

}  // namespace regatta
