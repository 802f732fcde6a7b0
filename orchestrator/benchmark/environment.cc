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
#include "orchestrator/cluster/gpu_software.h"
#include "orchestrator/doctor/library_facts.h"

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

void DescribeGpusOfWorkers(const ClusterDescription& cluster, Environment& environment) {
  const GpuSoftwareText software = GpuSoftwareOf(cluster);
  environment.set_driver(software.driver);
  environment.set_driver_cuda(software.driver_cuda);
  environment.set_built_cuda(software.cuda);
  environment.set_nccl(software.nccl);
  for (int i = 0; i < cluster.workers_size(); ++i) {
    if (!cluster.workers(i).description().has_gpu()) continue;
    GpuDescription& gpu = *environment.add_gpus();
    gpu = cluster.workers(i).description().gpu();
    gpu.set_index(i);
    gpu.set_used(cluster.workers(i).group() >= 0);
  }
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
  DescribeGpusOfWorkers(cluster, environment);
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
  environment.clear_gpus();
  for (size_t i = 0; i < inventory.gpus.size(); ++i) {
    GpuDescription& gpu = *environment.add_gpus();
    gpu = DescribeGpu(inventory.gpus[i]);
    gpu.set_index(i);
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
