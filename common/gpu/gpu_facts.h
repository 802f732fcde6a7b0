// What NVML says a GPU is. Reads only.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/gpu/nvml.h"
#include "proto/gpu.pb.h"

namespace regatta {

// Empty optionals: this GPU or driver does not tell.
struct GpuFacts {
  bool used = true;  // by ranks, as far as is known
  std::string name;
  std::string uuid;                            // GPU-8-4-4-4-12 hexadecimal digits
  std::string pci_id;                          // as in /sys/bus/pci/devices: 0000:3b:00.0
  std::optional<int> compute_capability;       // 90 = 9.0
  uint64_t memory_bytes = 0, memory_used = 0;  // without the driver's reserve where it tells
  std::optional<unsigned> power_limit_mw, power_default_mw, power_max_mw;
  std::optional<unsigned> sm_clock_mhz, sm_clock_max_mhz, memory_clock_max_mhz;
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

struct DriverFacts {
  std::string version;
  int cuda_version = 0;  // the newest that it runs: 13000 = 13.0
};

// Of an initialised `nvml`. `root` is that of the file system, "" but in tests: for NUMA nodes.
DriverFacts ReadDriver(const Nvml& nvml);
GpuFacts ReadGpuFacts(const Nvml& nvml, NvmlDevice device, const std::string& root);

// The part of them that goes into results.
GpuDescription DescribeGpu(const GpuFacts& facts);

}  // namespace regatta
