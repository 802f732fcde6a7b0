// Scales of a weight in E4M3 on the device, and exact conversion of its numbers.
#pragma once

#include <climits>

#include "kernels/activation.h"
#include "kernels/cuda/element.cuh"

namespace regatta {

// How an element of a weight finds its scale. The scales of a matrix lie `offset` bytes behind its
// first element, so that its address says where both are; 0 = a plain weight.
struct WeightScales {
  int64_t offset = 0;
  int features_shared = INT_MAX;  // output features that share a scale
  int depth_shared = INT_MAX;     // input features that do
  int stride = 0;                 // scales between consecutive runs of output features

  __device__ float At(const void* matrix, int64_t feature, int64_t depth) const {
    const auto* scales = reinterpret_cast<const float*>(static_cast<const char*>(matrix) + offset);
    return scales[feature / features_shared * stride + depth / depth_shared];
  }
};

// What all sums of a product, and all its results, are multiplied by: the scales that they have in
// common. These never change, and are read at a kernel's start: at its end nothing would hide that.
struct CommonScales {
  float sum = 1, result = 1;

  // `out_scale`: of results in E4M3, or null.
  __device__ CommonScales(const Activation& x, const Tensor& weight, const WeightScales& scales,
                          const void* out_scale) {
    if (scales.offset != 0 && scales.features_shared == INT_MAX && scales.depth_shared == INT_MAX) {
      sum = scales.At(weight.data, 0, 0);
    }
    if (x.scale.data != nullptr && x.scale.rank == 1) {
      sum *= *static_cast<const float*>(x.scale.data);
    }
    if (out_scale != nullptr) result /= *static_cast<const float*>(out_scale);
  }
};

// kSize neighbouring numbers as float32.
template <int kSize>
__device__ void WidenPack(const Pack<__nv_fp8_e4m3, kSize>& from, float (&to)[kSize]) {
  static_assert(kSize % 2 == 0);
#pragma unroll
  for (int j = 0; j < kSize; j += 2) {
    const auto pair = static_cast<__nv_fp8x2_storage_t>(from.at[j].__x | from.at[j + 1].__x << 8);
    const float2 wide = __half22float2(__nv_cvt_fp8x2_to_halfraw2(pair, __NV_E4M3));
    to[j] = wide.x;
    to[j + 1] = wide.y;
  }
}

}  // namespace regatta
