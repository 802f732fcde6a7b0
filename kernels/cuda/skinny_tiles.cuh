// Parts of the kernel of skinny_product.h: how weights and tokens come to a warp, how they are
// multiplied, and how sums of warps and blocks become results.
#pragma once

#include "kernels/cuda/async_copy.cuh"
#include "kernels/cuda/cluster.cuh"
#include "kernels/cuda/gate.cuh"
#include "kernels/cuda/mma.cuh"
#include "kernels/cuda/skinny_product.h"

namespace regatta {

namespace skinny {

inline constexpr int kWarps = 8;
inline constexpr int kThreads = kWarps * kWarp;
inline constexpr int kRowTiles = 4;  // of 16 features, of a unit
inline constexpr int kUnitRows = kRowTiles * 16;
inline constexpr int kTileTokens = 8;  // columns of one tensor-core product
inline constexpr int kChunk = 16;      // bytes of a row that a lane takes at once
inline constexpr int kChunks = 8;  // of a row that a warp takes in one step: a line of the cache
inline constexpr int kWarpDepth = kChunks * kChunk;
inline constexpr int kDepth = kWarps * kWarpDepth;  // bytes of a row that a block takes in one step
// Row tiles of a ring. Attention has room beside the larger one while there is one token, and a
// second product beside none.
inline constexpr int StagesOf(int tiles) { return tiles == 1 ? 8 : 5; }
inline constexpr int kSumStride = kUnitRows + 4;  // padded against bank conflicts
inline constexpr int kSums = kTileTokens * kUnitRows;
inline constexpr int kMaxCluster = 8;
inline constexpr int kTokenPad = kWarpDepth / 2;        // between tokens, against bank conflicts
inline constexpr int kTokenBytes = 112 << 10;           // of all tokens' parts of a depth, at most
inline constexpr int64_t kMostRows = int64_t{1} << 30;  // and bytes of a row

struct SkinnyCall {
  SkinnyProduct product;
  int64_t weight_stride, x_stride;  // bytes between rows
  int row_bytes;                    // that are multiplied
  int cluster, num_units;
  int steps;  // of a unit's whole depth

  // Of block `rank` of a cluster: [first_step(rank), first_step(rank + 1)).
  __device__ int first_step(int rank) const { return rank * steps / cluster; }
};

// The weights of a row tile that a warp takes in one step. Odd rows have their halves swapped,
// against bank conflicts.
struct WarpTile {
  uint4 chunk[16][kChunks];

  __device__ uint4& At(int row, int column) { return chunk[row][column ^ (row % 2 * 4)]; }
};

template <int kStages>
struct alignas(128) BlockMemory {
  WarpTile ring[kWarps][kStages];
  float partial[kWarps][kTileTokens][kSumStride];  // sums of warps
  float whole[2][kSums];                           // of the block, read by its cluster
  // Behind it: tokens' chunks, the part of the depth that is the block's.
};

inline constexpr int kMostSharedBytes = 227 << 10;  // of a block on Hopper

// The next row tile that a warp copies.
struct Place {
  int unit, step, row_tile = 0;

  __device__ void Advance(int first_step, int end_step, int stride) {
    if (++row_tile < kRowTiles) return;
    row_tile = 0;
    if (++step < end_step) return;
    step = first_step;
    unit += stride;
  }
};

// The first of 16 neighbouring features of a unit. A gated product's unit has gates and, behind
// them, what they are for.
__device__ inline int FeatureOf(const SkinnyCall& call, int unit, int row_tile) {
  if (!call.product.gated) return unit * kUnitRows + row_tile * 16;
  constexpr int kTiles = kRowTiles / 2;
  const int half = static_cast<int>(call.product.out.shape[1]);
  return row_tile / kTiles * half + (unit * kTiles + row_tile % kTiles) * 16;
}

// Begins the copies of one row tile, zeros where there is nothing.
__device__ inline void CopyWeights(const SkinnyCall& call, const Place& place, uint64_t policy,
                                   WarpTile& tile) {
  constexpr int kRows = kWarp / kChunks;  // at once
  const Tensor& weight = call.product.weight;
  const int lane = threadIdx.x % kWarp, warp = threadIdx.x / kWarp;
  if (place.unit < call.num_units) {
    const int depth = place.step * kDepth + warp * kWarpDepth + lane % kChunks * kChunk;
    const int first = FeatureOf(call, place.unit, place.row_tile) + lane / kChunks;
    const int rows = depth < call.row_bytes ? static_cast<int>(weight.shape[0]) - first : 0;
    const char* from = static_cast<const char*>(weight.data) + first * call.weight_stride + depth;
#pragma unroll
    for (int row = 0; row < 16; row += kRows) {
      const bool held = row < rows;
      CopyAsyncOnce(&tile.At(row + lane / kChunks, lane % kChunks),
                    held ? from + row * call.weight_stride : weight.data, held ? kChunk : 0,
                    policy);
    }
  }
  CommitCopies();
}

// The block's part of the tokens, bytes [begin, begin + width) of each, zeros beyond what there is.
__device__ inline void LoadTokens(const SkinnyCall& call, int begin, int width, char* to) {
  const Tensor& x = call.product.x.values;
  const int chunks = width / kChunk, count = static_cast<int>(x.shape[0]) * chunks;
  for (int i = threadIdx.x; i < count; i += kThreads) {
    const int token = i / chunks, offset = i % chunks * kChunk;
    const char* from = static_cast<const char*>(x.data) + token * call.x_stride + begin + offset;
    *reinterpret_cast<uint4*>(to + token * (width + kTokenPad) + offset) =
        begin + offset < call.row_bytes ? *reinterpret_cast<const uint4*>(from) : uint4{0, 0, 0, 0};
  }
}

// What a lane multiplies of each tile's tokens in one step: two chunks of token g of the tile,
// zeros where there is none. Lane is 4 g + t.
template <int kTiles>
struct TokenChunks {
  uint4 at[2][kTiles];

  __device__ void Read(const char* tokens, int stride, int count, int depth) {
    const int lane = threadIdx.x % kWarp;
#pragma unroll
    for (int n = 0; n < kTiles; ++n) {
      const int token = n * kTileTokens + lane / 4;
      const char* from = tokens + token * stride + depth + lane % 4 * kChunk;
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        at[half][n] = token < count
                          ? *reinterpret_cast<const uint4*>(from + half * (kWarpDepth / 2))
                          : uint4{0, 0, 0, 0};
      }
    }
  }
};

// A row tile times the tokens. The order of the depth within a chunk does not matter as both sides
// have the same: its first 8 bytes are the depth of one product, its last 8 that of another.
template <typename T, int kTiles>
__device__ void MultiplyTile(WarpTile& tile, const TokenChunks<kTiles>& tokens,
                             float (&sums)[kTiles][4]) {
  const int row = threadIdx.x % kWarp / 4, column = threadIdx.x % 4;
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    const uint4 low = tile.At(row, 4 * half + column);
    const uint4 high = tile.At(row + 8, 4 * half + column);
    const uint32_t first[4] = {low.x, high.x, low.y, high.y};
    const uint32_t last[4] = {low.z, high.z, low.w, high.w};
#pragma unroll
    for (int n = 0; n < kTiles; ++n) {
      const uint4 x = tokens.at[half][n];
      Mma<T>(sums[n], first, {x.x, x.y});
      Mma<T>(sums[n], last, {x.z, x.w});
    }
  }
}

// What a sum of one feature and token stands for.
__device__ inline float ScaledSum(const SkinnyProduct& product, const CommonScales& common,
                                  int64_t feature, int64_t token, float sum) {
  sum *= common.sum;
  if (product.x.scale.data != nullptr && product.x.scale.rank != 1) {
    sum *= static_cast<const float*>(product.x.scale.data)[token];
  }
  if (product.scales.features_shared != INT_MAX) {
    sum *= product.scales.At(product.weight.data, feature, 0);
  }
  if (product.bias.data != nullptr) {
    sum += LoadElement(product.bias.data, product.bias.dtype, feature);
  }
  return sum;
}

// The sum of a row of a unit over the blocks of the cluster, in order of rank.
__device__ inline float ClusterSum(const SkinnyCall& call, const float* own) {
  float sum = 0;
  for (int rank = 0; rank < call.cluster; ++rank) sum += LoadOfBlock(own, rank);
  return sum;
}

// The result of `row` of a unit, from the sums `whole` of one token.
__device__ inline void StoreResult(const SkinnyCall& call, const CommonScales& common, int unit,
                                   int row, int64_t token, const float* whole) {
  const SkinnyProduct& product = call.product;
  const Tensor& out = product.out;
  const int feature = FeatureOf(call, unit, row / 16) + row % 16;
  if (feature >= out.shape[1]) return;
  float value = ScaledSum(product, common, feature, token, ClusterSum(call, whole + row));
  if (product.gated) {
    const float up = ClusterSum(call, whole + row + kUnitRows / 2);
    value *= Sigmoid(value) * ScaledSum(product, common, feature + out.shape[1], token, up);
  }
  StoreElement(out.data, out.dtype, token * out.row_stride + feature, value * common.result);
}

using WarpSums = float[kTileTokens][kSumStride];

// The sums of one tile of tokens over the warps, then over the cluster. `whole` alternates from
// call to call: a block may write it while another reads that of before.
__device__ inline void FinishTile(const SkinnyCall& call, const CommonScales& common, int unit,
                                  int first_token, int rank, const WarpSums (&partial)[kWarps],
                                  float (&whole)[kSums]) {
  const int tokens = min(kTileTokens, static_cast<int>(call.product.out.shape[0]) - first_token);
  __syncthreads();
  for (int i = threadIdx.x; i < tokens * kUnitRows; i += kThreads) {
    float sum = 0;
#pragma unroll
    for (int w = 0; w < kWarps; ++w) sum += partial[w][i / kUnitRows][i % kUnitRows];
    whole[i] = sum;
  }
  SyncCluster();
  const int rows = call.product.gated ? kUnitRows / 2 : kUnitRows;
  for (int i = threadIdx.x + rank * kThreads; i < tokens * rows; i += call.cluster * kThreads) {
    const int token = i / rows;
    StoreResult(call, common, unit, i % rows, first_token + token, whole + token * kUnitRows);
  }
}

// Puts a warp's sums of one tile of tokens where the block finds them.
__device__ inline void KeepSums(const float (&sums)[4], int row_tile, WarpSums& partial) {
  const int lane = threadIdx.x % kWarp;
  const int row = row_tile * 16 + lane / 4, token = lane % 4 * 2;
  partial[token][row] = sums[0];
  partial[token + 1][row] = sums[1];
  partial[token][row + 8] = sums[2];
  partial[token + 1][row + 8] = sums[3];
}

}  // namespace skinny
}  // namespace regatta
