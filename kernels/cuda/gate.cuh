// Gates of MLPs (SwiGLU, Shazeer 2020), in float32.
#pragma once

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

}  // namespace regatta
