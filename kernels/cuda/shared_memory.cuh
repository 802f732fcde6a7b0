// More dynamic shared memory than a kernel gets unasked, and how kernels divide multiprocessors.
#pragma once

#include <cuda_runtime.h>

#include <atomic>
#include <cstdint>

#include "common/check.h"

namespace regatta {

// Calls `act` the first time on each device; `done` belongs to what it does. The current device.
template <typename Act>
int OncePerDevice(std::atomic<uint64_t>& done, const Act& act) {
  int device = 0;
  CHECK(cudaGetDevice(&device) == cudaSuccess && device < 64);
  const uint64_t bit = uint64_t{1} << device;
  if ((done.load(std::memory_order_acquire) & bit) != 0) return device;
  act(device);
  done.fetch_or(bit, std::memory_order_release);
  return device;
}

// Allows `kKernel` `num_bytes` on the current device; asks the driver once per device.
template <auto kKernel>
void AllowSharedMemory(int num_bytes) {
  static std::atomic<uint64_t> asked{0};
  OncePerDevice(asked, [num_bytes](int) {
    CHECK(cudaFuncSetAttribute(kKernel, cudaFuncAttributeMaxDynamicSharedMemorySize, num_bytes) ==
          cudaSuccess)
        << num_bytes << " bytes of shared memory";
  });
}

// Of Hopper, which has machine code of its own; others, newer ones too, run what Ampere knows.
struct DeviceTraits {
  bool begins_early = false;  // kernels may begin before the one in front has ended
  bool has_clusters = false;
  bool has_warpgroups = false;  // warpgroup.cuh
};

// Lets `kKernel` run beside kernels that want much shared memory: a multiprocessor divides its
// memory between cache and shared memory anew only when nothing runs there, so all ask alike.
template <auto kKernel>
DeviceTraits ShareMultiprocessors() {
  static std::atomic<uint64_t> asked{0}, hopper{0};
  const int device = OncePerDevice(asked, [](int device) {
    int major = 0;
    CHECK(cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, device) == cudaSuccess);
    CHECK(cudaFuncSetAttribute(kKernel, cudaFuncAttributePreferredSharedMemoryCarveout,
                               cudaSharedmemCarveoutMaxShared) == cudaSuccess);
    if (major == 9) hopper.fetch_or(uint64_t{1} << device, std::memory_order_relaxed);
  });
  const bool has = (hopper.load(std::memory_order_relaxed) >> device & 1) != 0;
  return {.begins_early = has, .has_clusters = has, .has_warpgroups = has};
}

}  // namespace regatta
