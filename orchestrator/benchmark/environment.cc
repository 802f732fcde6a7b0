// From uname and /proc; see environment.h.
#include "orchestrator/benchmark/environment.h"

#include <sys/utsname.h>
#include <unistd.h>

#include <cmath>
#include <fstream>
#include <map>
#include <string>
#include <thread>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"

namespace regatta {
namespace {

std::string CpuName() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    const size_t colon = line.find(": ");
    if (absl::StartsWith(line, "model name") && colon != std::string::npos) {
      return line.substr(colon + 2);
    }
  }
  return "";
}

}  // namespace

Environment DescribeEnvironment(const ClusterDescription& cluster) {
  Environment environment;
  utsname system = {};
  if (::uname(&system) == 0) {
    environment.set_kernel(absl::StrCat(system.sysname, " ", system.release));
  }
  environment.set_cpu(CpuName());
  environment.set_cpus(std::thread::hardware_concurrency());
  environment.set_memory_gb(1.0 * ::sysconf(_SC_PHYS_PAGES) * ::sysconf(_SC_PAGE_SIZE) /
                            std::exp2(30));
  std::map<std::string, int> devices;
  for (const PoolWorker& worker : cluster.workers()) {
    ++devices[absl::StrCat(worker.description().device_name(), " on ",
                           worker.description().host())];
  }
  for (const auto& [device, count] : devices) {
    environment.add_devices(absl::StrCat(count, " x ", device));
  }
  return environment;
}

std::string UtcTimestamp() {
  return absl::FormatTime("%Y-%m-%dT%H:%M:%SZ", absl::Now(), absl::UTCTimeZone());
}

std::string CompactUtcTimestamp() {
  return absl::FormatTime("%Y%m%dT%H%M%SZ", absl::Now(), absl::UTCTimeZone());
}

}  // namespace regatta
