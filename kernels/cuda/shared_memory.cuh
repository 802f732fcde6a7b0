// More dynamic shared memory than a kernel gets unasked.
#pragma once

#include <cuda_runtime.h>

#include <atomic>
#include <cstdint>

#include "common/check.h"

namespace regatta {

// Allows `kKernel` `num_bytes` on the current device; asks the driver once per device.
template <auto kKernel>
void AllowSharedMemory(int num_bytes) {
  static std::atomic<uint64_t> asked{0};
  int device = 0;
  CHECK(cudaGetDevice(&device) == cudaSuccess && device < 64);
  const uint64_t bit = uint64_t{1} << device;
  if ((asked.load(std::memory_order_relaxed) & bit) != 0) return;
  CHECK(cudaFuncSetAttribute(kKernel, cudaFuncAttributeMaxDynamicSharedMemorySize, num_bytes) ==
        cudaSuccess)
      << num_bytes << " bytes of shared memory";
  asked.fetch_or(bit, std::memory_order_relaxed);
}

}  // namespace regatta
