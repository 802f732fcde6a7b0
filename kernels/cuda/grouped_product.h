// out = x W^T (+ bias) where runs of rows have a matrix each: the products of experts, and dense
// products that cuBLASLt refuses. Groups are known on the device alone: no call waits for them.
#pragma once

#include <cuda_runtime.h>

#include "kernels/cuda/weight_scales.cuh"
#include "kernels/tensor.h"

namespace regatta {

inline constexpr int kProductTile = 64;  // rows and columns of one block's result
inline constexpr int kMaxLocalExperts = 384;

// Matrices of the groups; passed to the kernel by value.
struct GroupWeights {
  const void* at[kMaxLocalExperts] = {};
};

struct GroupedProduct {
  Tensor x;     // [*, in], row stride free
  Tensor out;   // [rows, out_features]
  Tensor bias;  // or empty
  // Groups, all null for one group: group of each tile and its first row ([num_tiles, 2], group -1
  // = unused), bounds of the groups' rows, and the row of x for a row of the product (or null).
  const int32_t* tiles = nullptr;
  const int32_t* start = nullptr;
  const int32_t* x_row = nullptr;
  int num_tiles = 0;
  // The matrices hold gates, then as many ups: out = silu(gate) * up, half as wide.
  bool gated = false;
  int64_t weight_stride = 0;  // elements, rows of 16 bytes' multiples, zero after `in`
  GroupWeights weights;
  // Set: the matrices are E4M3 under scales of this shape, and are unpacked to the dtype of x on
  // the way, which rounds number * scale once.
  WeightScales scales;
};

// x and weights have one dtype, or weights are E4M3; out has that of x too, or float32.
void LaunchGroupedProduct(const GroupedProduct& product, cudaStream_t stream);

}  // namespace regatta
