// out = x W^T (+ bias), or silu of its first half times its second, for few tokens, when a product
// takes as long as its weight takes to be read; with the norm in front of it and the addition to a
// residual behind it, when asked. Needs compute capability 9.0.
//
// A token's result does not depend on the other tokens, nor on their number: every element is
// summed in an order that only the weight's shape and the device decide.
#pragma once

#include <cuda_runtime.h>

#include "kernels/cuda/weight_scales.cuh"
#include "kernels/ops.h"

namespace regatta {

inline constexpr int64_t kSkinnyTokens = 32;

// Where queries, keys and values go, of whose heads a product's features are.
struct RotatedHeads {
  int num_heads = 0, num_kv_heads = 0;
  int head_dim = 0;  // 0: the features are no heads
  const int32_t* positions = nullptr;
  const int64_t* kv_slot = nullptr;
  Tensor rope = {};  // AttentionParams'
  KvLayer cache = {};

  constexpr explicit operator bool() const { return head_dim > 0; }
};

struct SkinnyProduct {
  // [T, in], T at most kSkinnyTokens; plain, static or scaled per token. With a norm plain numbers,
  // of a static scale where the weight is E4M3.
  Activation x;
  Tensor weight;        // [out, in] of x's dtype, rows of 16 bytes' multiples, zero after `in`
  WeightScales scales;  // of a weight in E4M3: one, or one per output feature
  Tensor bias;          // [out] of any activation dtype, or empty
  Tensor out;           // [T, out] of any activation dtype, or E4M3 of a scale given beforehand
  bool gated = false;   // out [T, out / 2] = silu(first half of the features) * second half
  const float* out_scale = nullptr;  // on the device, of an output in E4M3
  Tensor norm = {};                  // [in] or empty: RmsNorm(x), of this weight, is multiplied
  float norm_eps = 0;
  bool adds = false;  // out += the product, rounded once
  // RopeAndCache of the result, rounded once: `out` gets queries alone.
  RotatedHeads heads = {};
};

// How the product is dealt out to the device.
struct SkinnyShape {
  int cluster = 1;   // blocks that share the depth
  int clusters = 0;  // that run at once; 0: the device runs none, or has no room for the tokens
  int shared_bytes = 0;
};

// Whether the kernel takes the product: few tokens of 16-bit or E4M3 elements, rows of whole 16
// bytes that begin at multiples of 16 bytes, no scales within the depth; gates of whole tiles;
// norms of 16-bit elements; heads of multiples of 64 features.
bool SkinnyFits(const SkinnyProduct& product);

// For a product that fits; asks the driver.
SkinnyShape ShapeSkinnyProduct(const SkinnyProduct& product, int num_multiprocessors);

// Begins early (dependent_launch.cuh) and reads weights before the kernel in front has ended: what
// made them must have ended before that one began.
void LaunchSkinnyProduct(const SkinnyProduct& product, const SkinnyShape& shape,
                         cudaStream_t stream);

}  // namespace regatta
