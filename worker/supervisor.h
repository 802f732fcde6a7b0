// Supervisor: keeps one worker process per device of this host running. Holds no device and serves
// nothing itself.
#pragma once

#include <chrono>
#include <string>
#include <vector>

namespace regatta {

struct SupervisorOptions {
  std::vector<std::string> devices;  // of each worker, as --device takes it
  std::string listen;  // host:port of the first worker, consecutive ports for the others; port
                       // 0 lets every worker choose
  std::string address_file;  // gets all addresses, one per line, once all listen; may be empty
  std::vector<std::string> worker_arguments;  // common to all
  // Without an answer to a health check, after which a worker is killed; 0 = never.
  std::chrono::milliseconds hang_timeout{60'000};
};

// Runs until SIGTERM or SIGINT, which it passes on, or until a worker fails before it listens.
// Restarts workers that end otherwise, on the same address, after 0.1 s, doubling up to 10 s while
// they keep failing; kills and restarts those that hang. Returns the exit code; no child is left
// then, nor if this process is killed. Call from the main thread, before any other is started, with
// both signals blocked.
int Supervise(const SupervisorOptions& options);

}  // namespace regatta
