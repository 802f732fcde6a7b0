// Blocks that run at once and read one another's shared memory (CUDA programming guide, "Thread
// Block Clusters"). Before Hopper every cluster is one block.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>

namespace regatta {

// Every thread of the cluster's blocks comes here before any goes on; shared memory written before
// can then be read by all of them.
__device__ inline void SyncCluster() {
#if __CUDA_ARCH__ >= 900
  asm volatile("barrier.cluster.arrive.release.aligned;" ::: "memory");
  asm volatile("barrier.cluster.wait.acquire.aligned;" ::: "memory");
#else
  __syncthreads();
#endif
}

// What block `rank` of the cluster holds where this block holds `*own`, in shared memory.
__device__ inline float LoadOfBlock(const float* own, int rank) {
#if __CUDA_ARCH__ >= 900
  const auto address = static_cast<uint32_t>(__cvta_generic_to_shared(own));
  uint32_t theirs;
  float value;
  asm volatile("mapa.shared::cluster.u32 %0, %1, %2;" : "=r"(theirs) : "r"(address), "r"(rank));
  asm volatile("ld.shared::cluster.f32 %0, [%1];" : "=f"(value) : "r"(theirs) : "memory");
  return value;
#else
  return *own;
#endif
}

}  // namespace regatta
