// out = x W^T (+ bias), or silu of its first half times its second, for few tokens, when a product
// takes as long as its weight takes to be read. Needs compute capability 9.0.
//
// A token's result does not depend on the other tokens, nor on their number: every element is
// summed in an order that only the weight's shape and the device decide.
#pragma once

#include <cuda_runtime.h>

#include "kernels/cuda/weight_scales.cuh"

namespace regatta {

inline constexpr int64_t kSkinnyTokens = 32;

struct SkinnyProduct {
  Activation x;         // [T, in], T at most kSkinnyTokens; plain, static or scaled per token
  Tensor weight;        // [out, in] of x's dtype, rows of 16 bytes' multiples, zero after `in`
  WeightScales scales;  // of a weight in E4M3: one, or one per output feature
  Tensor bias;          // [out] of any activation dtype, or empty
  Tensor out;           // [T, out] of any activation dtype, or E4M3 of a scale given beforehand
  bool gated = false;   // out [T, out / 2] = silu(first half of the features) * second half
  const float* out_scale = nullptr;  // on the device, of an output in E4M3
};

// How the product is dealt out to the device.
struct SkinnyShape {
  int cluster = 1;   // blocks that share the depth
  int clusters = 0;  // that run at once; 0: the device runs none, or has no room for the tokens
  int shared_bytes = 0;
};

// Whether the kernel takes the product: few tokens of 16-bit or E4M3 elements, rows of whole 16
// bytes that begin at multiples of 16 bytes, no scales within the depth; gates of whole tiles.
bool SkinnyFits(const SkinnyProduct& product);

// For a product that fits; asks the driver.
SkinnyShape ShapeSkinnyProduct(const SkinnyProduct& product, int num_multiprocessors);

// Begins early (dependent_launch.cuh) and reads weights before the kernel in front has ended: what
// made them must have ended before that one began.
void LaunchSkinnyProduct(const SkinnyProduct& product, const SkinnyShape& shape,
                         cudaStream_t stream);

}  // namespace regatta
