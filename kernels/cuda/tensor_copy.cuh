// The device's side of tensor_copy.h.
#pragma once

#include "kernels/cuda/tensor_copy.h"
#include "kernels/cuda/warpgroup.cuh"

namespace regatta {

// Brings the description near before it is needed.
__device__ inline void PrefetchMap(const CUtensorMap& map) {
  asm volatile("prefetch.tensormap [%0];" ::"l"(&map) : "memory");
}

// Begins the copy of the box that begins at byte `byte` of row `row`; the barrier expects its
// bytes. `to` is a multiple of 1024.
__device__ inline void CopyTile(void* to, const CUtensorMap& map, int byte, int row,
                                PhaseBarrier& barrier) {
  asm volatile(
      "cp.async.bulk.tensor.2d.shared::cluster.global.mbarrier::complete_tx::bytes"
      " [%0], [%1, {%2, %3}], [%4];" ::"r"(static_cast<uint32_t>(__cvta_generic_to_shared(to))),
      "l"(&map), "r"(byte), "r"(row), "r"(barrier.address())
      : "memory");
}

// The same to this place of each block of the cluster that `blocks` has a bit for, and told to the
// barrier of each.
__device__ inline void CopyTileToBlocks(void* to, const CUtensorMap& map, int byte, int row,
                                        PhaseBarrier& barrier, uint16_t blocks) {
  asm volatile(
      "cp.async.bulk.tensor.2d.shared::cluster.global.mbarrier::complete_tx::bytes"
      ".multicast::cluster [%0], [%1, {%2, %3}], [%4], %5;" ::"r"(
          static_cast<uint32_t>(__cvta_generic_to_shared(to))),
      "l"(&map), "r"(byte), "r"(row), "r"(barrier.address()), "h"(blocks)
      : "memory");
}

}  // namespace regatta
