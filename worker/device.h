// Device: what the rank of a worker process computes on, and how its ranks reach one another: host
// threads over shared memory, or a GPU over NCCL. Chosen once, by name, when the process starts.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "kernels/ops.h"
#include "worker/collectives/rank_group.h"

namespace regatta {

// By what its GPU is known to others, and what this process computes with there.
struct GpuIdentity {
  std::string pci_id;    // as in /sys/bus/pci/devices; empty: there is no GPU
  int cuda_version = 0;  // of the runtime: 13000 = 13.0
  int nccl_version = 0;  // 22809 = 2.28.9
};

class Device {
 public:
  virtual ~Device() = default;
  virtual std::string kind() const = 0;  // "cpu" or "cuda"
  virtual std::string name() const = 0;  // as the vendor prints it
  // Of the device; of the host, for CPU ranks: what this process may use.
  virtual uint64_t memory_bytes() const = 0;
  virtual int num_threads() const = 0;
  virtual GpuIdentity gpu() const { return {}; }

  // Operations for one rank. UNAVAILABLE when the device cannot be opened.
  virtual absl::StatusOr<std::unique_ptr<Ops>> MakeOps() = 0;
  // UNAVAILABLE when the device cannot be used any more by this process, as after a fault.
  virtual absl::Status Probe() { return absl::OkStatus(); }
  // Bytes that the KV cache of a rank may still take, of `world_size` ranks that ask at once.
  virtual uint64_t FreeMemory(Ops& ops, int world_size) = 0;

  // What rank 0 of a group of `world_size` ranks, at least two, gives out.
  virtual absl::StatusOr<std::unique_ptr<GroupOffer>> Offer(int world_size) = 0;
  // Joins the group `id` as `rank` and waits for all: DEADLINE_EXCEEDED names the missing ones,
  // CANCELLED once `stop` turns true. `ops` must outlive the group.
  virtual absl::StatusOr<std::shared_ptr<RankGroup>> Join(const std::string& id, int rank,
                                                          int world_size, absl::Duration timeout,
                                                          const std::atomic<bool>* stop,
                                                          Ops& ops) = 0;
};

// "cpu", or "cuda:N" where this build has CUDA. `num_threads` of CPU operations. NOT_FOUND and
// INVALID_ARGUMENT name the devices there are.
absl::StatusOr<std::unique_ptr<Device>> OpenDevice(const std::string& name, int num_threads);

// Names that OpenDevice takes, best first: GPUs, then "cpu". Takes no device.
std::vector<std::string> ListDevices();

}  // namespace regatta
