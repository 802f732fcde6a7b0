// What the NVIDIA driver says about this host's GPUs, read through NVML. Reads only.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace regatta {

// NVIDIA's management library, where there is a driver.
inline constexpr char kNvmlLibrary[] = "libnvidia-ml.so.1";

// Empty optionals: this GPU or driver does not tell.
struct GpuFacts {
  bool used = true;  // by ranks; see MarkUsedGpus
  std::string name;
  std::string uuid;                            // GPU-8-4-4-4-12 hexadecimal digits
  std::string pci_id;                          // as in /sys/bus/pci/devices: 0000:3b:00.0
  std::optional<int> compute_capability;       // 90 = 9.0
  uint64_t memory_bytes = 0, memory_used = 0;  // without the driver's reserve where it tells
  std::optional<unsigned> power_limit_mw, power_default_mw, power_max_mw;
  std::optional<unsigned> sm_clock_mhz, sm_clock_max_mhz;
  std::optional<unsigned> application_clock_mhz, application_clock_default_mhz;
  std::optional<uint64_t> slowdown_reasons;  // bits of nvmlClocksEventReasons
  std::optional<unsigned> temperature_c;
  std::optional<bool> mig, ecc, persistence;
  std::optional<uint64_t> uncorrected_errors;        // since the driver was loaded
  bool remap_pending = false, remap_failed = false;  // rows of memory to be replaced
  std::optional<unsigned> compute_mode;              // 0 default, 2 prohibited, 3 one process
  std::optional<unsigned> fabric_state;  // 0 none, 1 not started, 2 in progress, 3 complete
  std::vector<unsigned> processes;       // that hold memory now
  int active_nvlinks = 0;
  std::optional<int> numa_node;
};

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
