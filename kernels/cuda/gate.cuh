// Gates of MLPs (SwiGLU, Shazeer 2020), in float32.
#pragma once

namespace regatta {

__device__ inline float Sigmoid(float x) { return 1.0f / (1.0f + expf(-x)); }

}  // namespace regatta
