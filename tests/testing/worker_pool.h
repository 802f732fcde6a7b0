// Real regatta-worker processes on CPU ranks, for whoever plays the router.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

namespace regatta {

// Idle worker processes of this test; killed at its end.
class WorkerPool {
 public:
  explicit WorkerPool(int count);
  ~WorkerPool();

  int size() const { return static_cast<int>(workers_.size()); }
  const std::string& address(int worker) const { return workers_[worker].address; }
  // SIGKILL; not reaped before the pool ends, as under a parent that does not wait.
  void Kill(int worker);

 private:
  struct Process {
    pid_t pid;
    std::string address;
  };
  std::vector<Process> workers_;
};

}  // namespace regatta
