// out = x W^T (+ bias) of E4M3 numbers under any scales and of any sizes; slow.
#pragma once

#include <cuda_runtime.h>

#include "kernels/cuda/weight_scales.cuh"

namespace regatta {

struct QuantizedProduct {
  Activation x;   // [T, in], quantised
  Tensor weight;  // [out, in], rows of 16 bytes' multiples, zero after `in`
  WeightScales scales;
  Tensor bias;  // [out] or empty
  Tensor out;   // [T, out]
};

void LaunchQuantizedProduct(const QuantizedProduct& product, cudaStream_t stream);

}  // namespace regatta
