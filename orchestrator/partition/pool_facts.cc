// Devices and memory of a pool; see pool_facts.h.
#include "orchestrator/partition/pool_facts.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <string>

#include "absl/strings/str_cat.h"
#include "orchestrator/cluster/cluster_client.h"
#include "orchestrator/doctor/doctor.h"

namespace regatta {
namespace {

double Gib(uint64_t bytes) { return static_cast<double>(bytes) / std::exp2(30); }

double LeastMemoryGib(const GpuInventory& inventory) {
  uint64_t least = 0;
  for (const GpuFacts& gpu : inventory.gpus) {
    if (gpu.used && (least == 0 || gpu.memory_bytes < least)) least = gpu.memory_bytes;
  }
  return Gib(least);
}

std::string NameOfUsed(const GpuInventory& inventory) {
  for (const GpuFacts& gpu : inventory.gpus) {
    if (gpu.used) return gpu.name;
  }
  return "";
}

}  // namespace

absl::StatusOr<PoolFacts> PoolOfHost(const ClusterOptions& options, uint32_t ranks) {
  PoolFacts pool;
  pool.kv_cache_fraction = options.kv_cache_fraction.value_or(pool.kv_cache_fraction);
  const DoctorFacts facts = ReadDoctorFacts(ranks);
  const bool sees_gpus = options.device != "cpu" && facts.build.cuda_version > 0 &&
                         facts.gpus.ok() && facts.gpus->num_used() > 0;
  const uint32_t gpus = sees_gpus ? facts.gpus->num_used() : 0;
  if (options.device == "cuda" && gpus == 0) {
    return absl::FailedPreconditionError(
        "--device cuda: this host has no GPUs that this build sees (make CUDA=1)");
  }
  if (gpus > 0) {
    pool.ranks = ranks > 0 ? ranks : gpus;
    pool.device = NameOfUsed(*facts.gpus);
    pool.memory_gib = LeastMemoryGib(*facts.gpus);
    if (pool.ranks <= gpus) return pool;
    return absl::FailedPreconditionError(absl::StrCat("--gpus is ", ranks, ", this host shows ",
                                                      gpus, "; --device cpu takes CPU ranks"));
  }
  if (ranks == 0) {
    return absl::InvalidArgumentError(
        "give --gpus N: how many ranks, on the CPU as no GPU is seen here");
  }
  pool.on_cpu = true;
  pool.ranks = ranks;
  pool.device = "CPU ranks";
  const uint64_t limit = facts.host.memory_limit.value_or(facts.host.memory_bytes);
  pool.memory_gib = Gib(std::min(limit, facts.host.memory_bytes)) / ranks;
  return pool;
}

PoolFacts PoolOfCluster(const ClusterDescription& cluster) {
  PoolFacts pool;
  pool.ranks = cluster.workers_size();
  pool.kv_cache_fraction = cluster.kv_cache_fraction();
  pool.device = ContextOf(cluster).machine().name();
  std::map<std::string, int> ranks_on_host;
  for (const PoolWorker& worker : cluster.workers()) ++ranks_on_host[worker.description().host()];
  for (const PoolWorker& worker : cluster.workers()) {
    const WorkerDescription& device = worker.description();
    if (device.device_kind() == "cpu") pool.on_cpu = true;
    // CPU ranks share their host's.
    const int sharing = device.device_kind() == "cpu" ? ranks_on_host[device.host()] : 1;
    const double gib = Gib(device.memory_bytes()) / sharing;
    if (pool.memory_gib == 0 || gib < pool.memory_gib) pool.memory_gib = gib;
  }
  return pool;
}

}  // namespace regatta
