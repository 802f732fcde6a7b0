// One run of the service under way: its command as a process of its own, so that whatever
// befalls it the service lives, and whatever befalls the service it goes with it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/credentials.h"
#include "orchestrator/cluster/child_process.h"
#include "orchestrator/service/run_paths.h"
#include "proto/orchestrator.pb.h"

namespace regatta {

struct RunProcessOptions {
  std::string program;                            // `regatta`
  TlsOptions tls;                                 // that targets behind grpc:// are called with
  absl::Duration stop_grace = absl::Seconds(10);  // from SIGTERM to SIGKILL
};

class RunProcess {
 public:
  // Starts the run's command, or goes on where its results end. `flags` have paths on this host.
  // UNAVAILABLE while a process of an earlier life still holds the run's directory: try again. Call
  // from a thread that lives as long as the program.
  static absl::StatusOr<std::unique_ptr<RunProcess>> Start(const RunProcessOptions& options,
                                                           const RunPaths& paths,
                                                           const RunSummary& run,
                                                           const std::vector<std::string>& flags);

  // "exit code 0" or the like once it has ended; else nullopt, after following what it printed and
  // wrote. Kills it when its grace is over.
  std::optional<std::string> Poll();
  // SIGTERM, and SIGKILL after the grace; Poll tells when it has ended.
  void Stop();

  // The last line about progress; empty before the first.
  const std::string& line() const { return line_; }
  // Puts what the results say into `run`; false when they are as they were at the last call.
  bool Refresh(RunSummary& run);
  // Why it failed, as it said itself; else its last line.
  std::string Error() const;

 private:
  RunProcess(const RunPaths& paths, absl::Duration stop_grace, uint64_t log_bytes,
             std::unique_ptr<ChildProcess> child)
      : paths_(paths), stop_grace_(stop_grace), child_(std::move(child)), log_read_(log_bytes) {}
  void ReadLog();

  const RunPaths paths_;
  const absl::Duration stop_grace_;
  std::unique_ptr<ChildProcess> child_;
  absl::Time kill_at_ = absl::InfiniteFuture();
  uint64_t log_read_;  // bytes
  std::string line_;
  std::filesystem::file_time_type results_time_;
};

}  // namespace regatta
