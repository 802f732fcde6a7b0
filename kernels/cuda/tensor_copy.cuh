// The device's side of tensor_copy.h.
#pragma once

#include "kernels/cuda/tensor_copy.h"
#include "kernels/cuda/warpgroup.cuh"

namespace regatta {

// Brings the description near before it is needed.
__device__ inline void PrefetchMap(const CUtensorMap& map) {
  asm volatile("prefetch.tensormap [%0];" ::"l"(&map) : "memory");
}

// Begins the copy of the box whose first line is `line` of row `row` of every part; the barrier
// expects its bytes. `to` is a multiple of 1024.
__device__ inline void CopyTile(void* to, const CUtensorMap& map, int line, int row,
                                PhaseBarrier& barrier, uint64_t policy) {
  asm volatile(
      "cp.async.bulk.tensor.4d.shared::cluster.global.mbarrier::complete_tx::bytes"
      ".L2::cache_hint [%0], [%1, {%2, %3, %2, %4}], [%5], %6;" ::"r"(
          static_cast<uint32_t>(__cvta_generic_to_shared(to))),
      "l"(&map), "r"(0), "r"(row), "r"(line), "r"(barrier.address()), "l"(policy)
      : "memory");
}

}  // namespace regatta
