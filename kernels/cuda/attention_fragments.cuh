// Fragments of mma.m16n8k16 (PTX ISA, "Matrix Fragments for mma.m16n8k16") in the attention
// kernels: how queries, weights, keys and values become them, E4M3 unpacked on the way.
#pragma once

#include <type_traits>

#include "kernels/cuda/element.cuh"

namespace regatta {

// Two neighbouring elements of T.
template <typename T>
__device__ auto RoundPair(float low, float high) {
  if constexpr (std::is_same_v<T, __half>) {
    return __float22half2_rn({low, high});
  } else {
    return __float22bfloat162_rn({low, high});
  }
}

// Two neighbouring elements in one register, and what rounding them lost in another: together 16
// bits of each weight take part in the product with the values.
template <typename T>
__device__ void SplitPair(float low, float high, uint32_t& rounded, uint32_t& rest) {
  const auto pair = RoundPair<T>(low, high);
  const auto lost = RoundPair<T>(low - Widen(pair.x), high - Widen(pair.y));
  rounded = *reinterpret_cast<const uint32_t*>(&pair);
  rest = *reinterpret_cast<const uint32_t*>(&lost);
}

// Four 8 x 8 matrices of 16-bit elements, a row per lane; transposed when kTransposed.
template <bool kTransposed>
__device__ void LoadMatrices(const void* row_of_lane, uint32_t (&to)[4]) {
  const auto address = static_cast<uint32_t>(__cvta_generic_to_shared(row_of_lane));
  if constexpr (kTransposed) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
                 : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3])
                 : "r"(address));
  } else {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
                 : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3])
                 : "r"(address));
  }
}

// What products over a cache of S are computed in, for queries of T.
template <typename T, typename S>
using ComputeType = std::conditional_t<std::is_same_v<T, S>, T, __half>;

// Two neighbouring query elements; those beyond float16's range become its largest.
template <typename C, typename T>
__device__ uint32_t QueryPair(const T* from) {
  if constexpr (std::is_same_v<C, T>) {
    return *reinterpret_cast<const uint32_t*>(from);
  } else {
    const auto pair = *reinterpret_cast<const Pack<T, 2>*>(from);
    uint32_t result;
    asm("cvt.rn.satfinite.f16x2.f32 %0, %1, %2;"
        : "=r"(result)
        : "f"(Widen(pair.at[1])), "f"(Widen(pair.at[0])));
    return result;
  }
}

// Four E4M3 numbers in float16, exactly.
__device__ inline void UnpackFour(uint32_t four, uint32_t& low, uint32_t& high) {
#if __CUDA_ARCH__ >= 890
  asm("{.reg .b16 first, second; mov.b32 {first, second}, %2;"
      "cvt.rn.f16x2.e4m3x2 %0, first; cvt.rn.f16x2.e4m3x2 %1, second;}"
      : "=r"(low), "=r"(high)
      : "r"(four));
#else
  const auto unpack = [](uint32_t two) {
    const __half2_raw pair =
        __nv_cvt_fp8x2_to_halfraw2(static_cast<__nv_fp8x2_storage_t>(two), __NV_E4M3);
    return uint32_t{pair.x} | uint32_t{pair.y} << 16;
  };
  low = unpack(four);
  high = unpack(four >> 16);
#endif
}

}  // namespace regatta
