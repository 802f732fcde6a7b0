// Reads /proc/meminfo and the cgroup's files (version 2, then 1).
#include "worker/host_memory.h"

#include <algorithm>
#include <fstream>
#include <limits>
#include <string>

namespace regatta {
namespace {

constexpr uint64_t kUnlimited = std::numeric_limits<uint64_t>::max();

uint64_t MemAvailable() {
  std::ifstream file("/proc/meminfo");
  std::string name, unit;
  uint64_t kilobytes = 0;
  while (file >> name >> kilobytes) {
    if (name == "MemAvailable:") return kilobytes << 10;
    std::getline(file, unit);
  }
  return kUnlimited;
}

// A file that holds one number; "max" and files that are not there are unlimited.
uint64_t ReadBytes(const std::string& path) {
  std::ifstream file(path);
  uint64_t bytes = 0;
  return file >> bytes ? bytes : kUnlimited;
}

uint64_t LeftUnder(const std::string& limit_path, const std::string& usage_path) {
  const uint64_t limit = ReadBytes(limit_path);
  if (limit == kUnlimited) return kUnlimited;
  const uint64_t usage = ReadBytes(usage_path);
  return usage == kUnlimited ? limit : limit - std::min(limit, usage);
}

}  // namespace

uint64_t AvailableHostMemory() {
  const std::string v2 = "/sys/fs/cgroup/memory.", v1 = "/sys/fs/cgroup/memory/memory.";
  return std::min({MemAvailable(), LeftUnder(v2 + "max", v2 + "current"),
                   LeftUnder(v1 + "limit_in_bytes", v1 + "usage_in_bytes")});
}

}  // namespace regatta
