// A child process that never outlives this one: its output goes to a log file, its end is seen
// without waiting, its death is certain.
#pragma once

#include <sys/types.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace regatta {

class ChildProcess {
 public:
  // Starts `arguments[0]` in a process group of its own, so that Ctrl-C reaches only this process,
  // with stdout and stderr appended to `log_path`. The kernel kills the child when the calling
  // thread ends, so call this from a thread that lives as long as the program: the main thread.
  // NOT_FOUND when the program cannot be executed; INTERNAL for failed system calls.
  static absl::StatusOr<std::unique_ptr<ChildProcess>> Start(
      const std::string& name, const std::vector<std::string>& arguments,
      const std::string& log_path);

  // Kills the process group, if it still runs, and reaps.
  ~ChildProcess();
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;

  const std::string& name() const { return name_; }
  pid_t pid() const { return pid_; }
  const std::string& log_path() const { return log_path_; }

  // "exit code 2" or "signal 9 (Killed)" once the process has ended; nullopt while it runs.
  std::optional<std::string> Ended();

  // Asks it to end. Ended tells when it has.
  void Terminate();

  // The last `lines` lines of its log, for error messages.
  std::string LogTail(int lines) const;

 private:
  ChildProcess(std::string name, pid_t pid, std::string log_path)
      : name_(std::move(name)), pid_(pid), log_path_(std::move(log_path)) {}

  const std::string name_;
  const pid_t pid_;
  const std::string log_path_;
  std::optional<std::string> ended_;
};

// SIGTERM to all, then SIGKILL to what still runs after `grace`.
void StopAll(const std::vector<std::unique_ptr<ChildProcess>>& children, absl::Duration grace);

}  // namespace regatta
