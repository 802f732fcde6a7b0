// Gates of MLPs (SwiGLU, Shazeer 2020), in float32.
#pragma once

namespace regatta {

__device__ inline float Sigmoid(float x) { return 1.0f / (1.0f + expf(-x)); }

// silu(x) * up, for a result in T. What is rounded to 16 bits does not need every bit of float32.
template <typename T>
__device__ float Gated(float x, float up) {
  if constexpr (sizeof(T) == sizeof(float)) {
    return x * Sigmoid(x) * up;
  } else {
    return __fdividef(x, 1.0f + __expf(-x)) * up;
  }
}

}  // namespace regatta
