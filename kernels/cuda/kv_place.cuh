// Where a token's key and value lie in the paged cache.
#pragma once

#include "kernels/cuda/element.cuh"

namespace regatta {

// Element offset of a slot's head in a side of the cache. Slots are below 2^32, as 64-bit division
// is slow.
__device__ inline int64_t PlaceInCache(const Tensor& cache, int64_t slot, int head) {
  const auto block_size = static_cast<uint32_t>(cache.shape[1]);
  const auto place = static_cast<uint32_t>(slot);
  const int64_t row = place % block_size * cache.shape[2] + head;
  return place / block_size * cache.row_stride + row * cache.shape[3];
}

}  // namespace regatta
