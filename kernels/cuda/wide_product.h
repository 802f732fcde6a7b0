// out = x W^T, or silu of its first half times its second, for many tokens, when a product takes as
// long as its arithmetic. What a gate reads of a product then never leaves the multiprocessor. Sums
// of E4M3 products keep about 14 bits on the way, as cuBLASLt's fast ones do.
// Needs compute capability 9.0.
#pragma once

#include <cuda_runtime.h>

#include "kernels/cuda/weight_scales.cuh"

namespace regatta {

struct WideProduct {
  Activation x;         // [T, in]; plain, static or scaled per token
  Tensor weight;        // [N, in] of x's dtype, zero after `in`
  WeightScales scales;  // of a weight in E4M3: one, or one per output feature
  Activation out;       // [T, N] of 16 bits, x's dtype unless that is E4M3
  // out [T, N / 2] = silu(first half of the features) * second half; E4M3 of a static scale when x
  // is E4M3.
  bool gated = false;
};

// How the product is cut into tiles.
struct WideShape {
  int rows = 0;     // of the weight; 0: the kernel does not take the product
  int cluster = 1;  // blocks that share them, each with tokens of its own
  int blocks = 0;   // that run at once
};

// The kernel takes rows of whole 16 bytes that begin at multiples of 16 bytes, and no scales within
// the depth.
WideShape ShapeWideProduct(const WideProduct& product, int num_multiprocessors);

// Begins early and reads weights before the kernel in front has ended (see skinny_product.h).
// False, and nothing launched, when the driver does not take the operands' description.
bool LaunchWideProduct(const WideProduct& product, const WideShape& shape, cudaStream_t stream);

}  // namespace regatta
