// One function per rule; see host_rules.h.
#include "orchestrator/doctor/host_rules.h"

#include <algorithm>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "orchestrator/doctor/finding.h"

namespace regatta {
namespace {

constexpr int kCpusPerGpu = 4;                         // launch, RPC, router and load threads
constexpr uint64_t kMemoryPerGpu = uint64_t{8} << 30;  // pinned buffers and page cache
constexpr uint64_t kSharedMemory = uint64_t{1} << 30;  // NCCL's advice for containers
constexpr uint64_t kOpenFiles = 8192;                  // a connection per user, and shards
constexpr char kHost[] = "host";

HostFinding Governor(const HostFacts& facts) {
  std::string value;
  for (const auto& [governor, cpus] : facts.governors) {
    absl::StrAppend(&value, value.empty() ? "" : ", ", governor, " on ", cpus, " CPUs");
  }
  if (value.empty()) value = "not told by the kernel (virtual machine?)";
  const bool slow = std::any_of(facts.governors.begin(), facts.governors.end(),
                                [](const auto& entry) { return entry.first != "performance"; });
  return MakeFinding(slow ? kWarning : kOk, kHost, "CPU governor", value, "performance",
                     "sudo cpupower frequency-set -g performance");
}

HostFinding Cpus(const HostFacts& facts, int num_gpus) {
  const double needed = std::max(1, kCpusPerGpu * num_gpus);
  const double usable = std::min<double>(
      facts.cpus.size(), facts.cpu_quota.value_or(static_cast<double>(facts.cpus.size())));
  const std::string value =
      facts.cpu_quota.has_value()
          ? absl::StrFormat("%d, quota of %.4g", facts.cpus.size(), *facts.cpu_quota)
          : absl::StrFormat("%d, no quota", facts.cpus.size());
  return MakeFinding(
      usable < needed ? kWarning : kOk, kHost, "CPUs", value,
      absl::StrFormat("at least %.0f", needed),
      absl::StrFormat("docker run --cpus %.0f ..., or resources.limits.cpu: %.0f", needed, needed));
}

HostFinding Memory(const HostFacts& facts, int num_gpus) {
  const uint64_t needed = kMemoryPerGpu * std::max(1, num_gpus);
  const uint64_t usable = std::min(facts.memory_bytes, facts.memory_limit.value_or(UINT64_MAX));
  const std::string value = facts.memory_limit.has_value()
                                ? absl::StrCat(MemoryText(facts.memory_bytes), ", limited to ",
                                               MemoryText(*facts.memory_limit))
                                : absl::StrCat(MemoryText(facts.memory_bytes), ", no limit");
  const std::string gib = absl::StrCat(needed >> 30);
  const bool scarce = num_gpus > 0 && usable < needed;
  return MakeFinding(
      scarce ? kWarning : kOk, kHost, "memory", value,
      num_gpus > 0 ? absl::StrCat("at least ", gib, " GiB") : "",
      absl::StrCat("docker run --memory ", gib, "g ..., or resources.limits.memory: ", gib, "Gi"));
}

// Ranks on CPUs share anonymous memory; only NCCL needs the mount.
HostFinding SharedMemory(const HostFacts& facts, int num_gpus) {
  const bool small = num_gpus > 1 && facts.shared_memory.value_or(0) < kSharedMemory;
  return MakeFinding(
      small ? kWarning : kOk, kHost, "/dev/shm",
      facts.shared_memory.has_value() ? MemoryText(*facts.shared_memory) : "not mounted",
      num_gpus > 1 ? absl::StrCat("at least ", MemoryText(kSharedMemory), " for NCCL") : "",
      "docker run --shm-size 1g ..., or sudo mount -o remount,size=1g /dev/shm");
}

HostFinding LockedMemory(const HostFacts& facts, int num_gpus) {
  return MakeFinding(
      kOk, kHost, "ulimit -l",  // nothing that runs on one host needs more
      facts.locked_memory.has_value() ? MemoryText(*facts.locked_memory) : "unlimited",
      num_gpus > 1 ? "unlimited, for NCCL across hosts" : "",
      "ulimit -l unlimited, or docker run --ulimit memlock=-1 ...");
}

HostFinding OpenFiles(const HostFacts& facts) {
  const bool few = facts.open_files.has_value() && *facts.open_files < kOpenFiles;
  return MakeFinding(few ? kWarning : kOk, kHost, "ulimit -n",
                     facts.open_files.has_value() ? absl::StrCat(*facts.open_files) : "unlimited",
                     absl::StrCat("at least ", kOpenFiles), "ulimit -n 65536");
}

HostFinding Numa(const HostFacts& facts, int num_gpus) {
  const bool moves = num_gpus > 0 && facts.numa_balancing && facts.numa_nodes.size() > 1;
  return MakeFinding(moves ? kWarning : kOk, kHost, "NUMA",
                     absl::StrCat(std::max<size_t>(1, facts.numa_nodes.size()),
                                  facts.numa_nodes.size() > 1 ? " nodes" : " node",
                                  facts.numa_balancing ? ", automatic balancing on" : ""),
                     num_gpus > 0 ? "no automatic balancing" : "",
                     "sudo sysctl kernel.numa_balancing=0");
}

}  // namespace

std::vector<HostFinding> HostFindings(const HostFacts& facts, int num_gpus) {
  return {Governor(facts),
          Cpus(facts, num_gpus),
          Memory(facts, num_gpus),
          SharedMemory(facts, num_gpus),
          LockedMemory(facts, num_gpus),
          OpenFiles(facts),
          Numa(facts, num_gpus)};
}

}  // namespace regatta
