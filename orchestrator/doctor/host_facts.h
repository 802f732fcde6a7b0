// What /proc and /sys say about this host and this process's share of it. Reads only.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace regatta {

// Empty optionals are "no limit", or not told by this kernel where said.
struct HostFacts {
  std::vector<int> cpus;                       // that this process may run on
  std::map<std::string, int> governors;        // frequency governor -> CPUs; empty = not told
  std::optional<double> cpu_quota;             // CPUs' worth of time that the control group gets
  uint64_t memory_bytes = 0;                   // of the host
  std::optional<uint64_t> memory_limit;        // of the control group
  std::optional<uint64_t> shared_memory;       // size of /dev/shm; empty = not mounted
  std::optional<uint64_t> locked_memory;       // soft limit (ulimit -l)
  std::optional<uint64_t> open_files;          // soft limit (ulimit -n)
  std::map<int, std::vector<int>> numa_nodes;  // node -> its CPUs
  bool numa_balancing = false;                 // the kernel moves pages between nodes by itself
};

// Reads below `root`: "" for the host itself, a directory with proc/ and sys/ in tests. What cannot
// be read keeps its empty value.
HostFacts ReadHostFacts(const std::string& root);

// CPUs of a list as the kernel writes it: "0-3,8" is {0, 1, 2, 3, 8}. Stops at what it cannot read.
std::vector<int> ParseCpuList(const std::string& text);

}  // namespace regatta
