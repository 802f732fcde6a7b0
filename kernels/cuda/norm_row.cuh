// What all kernels that norm a row agree on, so that each of them gives it the same bits: thread i
// of NormWarps warps sums the squares of packs i, i + threads and so on, then warps are summed.
#pragma once

#include "kernels/cuda/element.cuh"

namespace regatta {

// Warps that share a row of so many packs.
constexpr int NormWarps(int packs) {
  return packs <= kWarp ? 1 : packs >= kWarp * kWarp ? kWarp : (packs + kWarp - 1) / kWarp;
}

template <typename T, int kSize>
__device__ float AddSquares(const Pack<T, kSize>& pack, float squares) {
#pragma unroll
  for (int j = 0; j < kSize; ++j) squares += Widen(pack.at[j]) * Widen(pack.at[j]);
  return squares;
}

// 1 / rms of a row of `width` elements.
__device__ inline float InverseRms(float squares, int64_t width, float eps) {
  return rsqrtf(squares / static_cast<float>(width) + eps);
}

}  // namespace regatta
