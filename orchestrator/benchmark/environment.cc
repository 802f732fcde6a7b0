// From uname and /proc; see environment.h.
#include "orchestrator/benchmark/environment.h"

#include <sys/utsname.h>
#include <unistd.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <system_error>
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

GpuDescription DescribeGpu(const GpuFacts& facts, uint32_t index) {
  GpuDescription gpu;
  gpu.set_index(index);
  gpu.set_name(facts.name);
  gpu.set_used(facts.used);
  gpu.set_pci_id(facts.pci_id);
  gpu.set_memory_gb(facts.memory_bytes / std::exp2(30));
  gpu.set_power_limit_w(facts.power_limit_mw.value_or(0) / 1e3);
  gpu.set_max_sm_clock_mhz(facts.sm_clock_max_mhz.value_or(0));
  gpu.set_application_sm_clock_mhz(facts.application_clock_mhz.value_or(0));
  gpu.set_nvlinks(facts.active_nvlinks);
  if (facts.numa_node.has_value()) gpu.set_numa_node(*facts.numa_node);
  return gpu;
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

void DescribeGpus(const DoctorFacts& facts, Environment& environment) {
  if (!facts.gpus.ok()) return;
  const GpuInventory& inventory = *facts.gpus;
  environment.set_driver(inventory.driver_version);
  environment.set_driver_cuda(CudaVersionText(inventory.cuda_version));
  environment.set_built_cuda(CudaVersionText(facts.build.cuda_version));
  for (const LibraryFacts& library : facts.build.libraries) {
    if (library.name == "NCCL") environment.set_nccl(LibraryVersionText(library.version));
  }
  for (size_t i = 0; i < inventory.gpus.size(); ++i) {
    *environment.add_gpus() = DescribeGpu(inventory.gpus[i], i);
  }
  for (const std::vector<bool>& row : inventory.peer_access) {
    std::string digits;
    for (const bool reads : row) digits += reads ? '1' : '0';
    environment.add_peer_access(digits);
  }
}

std::string WorkingDirectory() {
  std::error_code error;
  return std::filesystem::current_path(error).string();
}

std::string UtcTimestamp() {
  return absl::FormatTime("%Y-%m-%dT%H:%M:%SZ", absl::Now(), absl::UTCTimeZone());
}

std::string CompactUtcTimestamp() {
  return absl::FormatTime("%Y%m%dT%H%M%SZ", absl::Now(), absl::UTCTimeZone());
}

}  // namespace regatta
