// A whole cluster on this host, for the length of one command: worker processes and a router on
// loopback. Starts, awaits, watches and tears down; sends no request.
#pragma once

#include <grpcpp/channel.h>

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "orchestrator/child_process.h"
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
};

class LocalCluster {
 public:
  // Returns when every group runs. Call from the main thread (child_process.h). Errors name the
  // process, how it ended and its last log lines; DEADLINE_EXCEEDED after ready_timeout; CANCELLED
  // when `stop` turned true. Nothing is left behind then.
  static absl::StatusOr<std::unique_ptr<LocalCluster>> Launch(const LaunchOptions& options,
                                                              const std::atomic<bool>& stop);
  // SIGTERM to the router, then to the workers; SIGKILL after five seconds. Drop what else uses
  // channel() before: the router waits for connected clients.
  ~LocalCluster();

  const std::shared_ptr<grpc::Channel>& channel() const { return channel_; }
  const ClusterDescription& description() const { return description_; }

  // OK while every process runs; otherwise names the dead ones with their last log lines.
  absl::Status Check();

 private:
  explicit LocalCluster(const LaunchOptions& options) : options_(options) {}

  // The device of each worker; FAILED_PRECONDITION when there are too few.
  absl::StatusOr<std::vector<std::string>> ChooseDevices(const std::atomic<bool>& stop);
  absl::Status StartWorkers(const std::vector<std::string>& devices);
  absl::Status StartRouter();
  absl::Status AwaitCluster(const std::atomic<bool>& stop);
  absl::Status StartProgram(const std::string& program, const std::string& name,
                            std::vector<std::string> arguments);
  // host:port that process `name` wrote once it listened.
  absl::StatusOr<std::string> AwaitAddress(const std::string& name, const std::atomic<bool>& stop);
  absl::Status CheckRunning(const std::atomic<bool>& stop);
  std::string ProgramPath(const std::string& program) const;
  std::string AddressFile(const std::string& name) const;

  const LaunchOptions options_;
  absl::Time deadline_;
  std::vector<std::unique_ptr<ChildProcess>> workers_;
  std::vector<std::unique_ptr<ChildProcess>> router_;  // none or one
  std::vector<std::string> worker_addresses_;
  std::shared_ptr<grpc::Channel> channel_;
  ClusterDescription description_;
};

// The directory of the running executable.
std::string OwnDirectory();

}  // namespace regatta
