// Gates of MLPs (SwiGLU, Shazeer 2020), in float32.
#pragma once

#include "kernels/cuda/element.cuh"

namespace regatta {

__device__ inline float Sigmoid(float x) { return 1.0f / (1.0f + expf(-x)); }

// silu(x) * up, for a result in Out: E4M3 does not need every bit of float32.
template <typename Out>
__device__ float Gated(float x, float up) {
  if constexpr (sizeof(Out) == 1) {
    return __fdividef(x, 1.0f + __expf(-x)) * up;
  } else {
    return x * Sigmoid(x) * up;
  }
}

// silu(gate * scale) * up * up_scale of two neighbours, to some 2^-22: the special function unit is
// asked for three numbers, as both share a reciprocal. Below -41 a gate's sigmoid stays 2^-60.
__device__ inline float2 GatedPair(const float* gate, const float* up, float scale,
                                   float up_scale) {
  constexpr float kMostPower = 60;
  const float x = gate[0] * scale, y = gate[1] * scale;
  const float x_part = 1 + PowerOfTwo(fminf(-kLog2E * x, kMostPower));
  const float y_part = 1 + PowerOfTwo(fminf(-kLog2E * y, kMostPower));
  float both;
  asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(both) : "f"(x_part * y_part));
  return {x * (both * y_part) * (up[0] * up_scale), y * (both * x_part) * (up[1] * up_scale)};
}

}  // namespace regatta
