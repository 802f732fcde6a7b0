// The GPUs of this host and how they reach one another, read through NVML. Reads only.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/gpu/gpu_facts.h"

namespace regatta {

struct GpuInventory {
  std::string driver_version;
  int cuda_version = 0;  // the newest that the driver runs: 13000 = 13.0
  std::vector<GpuFacts> gpus;
  std::vector<std::vector<bool>> peer_access;  // [i][j]: GPU i reads memory of GPU j

  std::vector<bool> used() const;  // by GPU
  int num_used() const;
};

// Marks the GPUs that CUDA shows to programs: those that `visible`, the value of
// CUDA_VISIBLE_DEVICES, names by number or by the beginning of their uuid, up to the first that is
// not there; all when it is not set. Of these the first `ranks`, unless that is 0. CUDA is taken to
// count GPUs as NVML does, as it does where they are alike.
void MarkUsedGpus(const std::optional<std::string>& visible, uint32_t ranks,
                  GpuInventory& inventory);

// Asks `library` (libnvidia-ml.so.1; a fake in tests). `root` is that of ReadHostFacts, for NUMA
// nodes. NOT_FOUND: no driver here; UNAVAILABLE: there is one and it does not answer, with its
// reason.
absl::StatusOr<GpuInventory> ReadGpus(const std::string& library, const std::string& root);

}  // namespace regatta
