// Parts of the kernel of skinny_product.h: how weights and tokens come to a warp, how they are
// multiplied, and how sums of warps and blocks become results.
#pragma once

#include "kernels/cuda/async_copy.cuh"
#include "kernels/cuda/cluster.cuh"
#include "kernels/cuda/gate.cuh"
#include "kernels/cuda/kv_place.cuh"
#include "kernels/cuda/mma.cuh"
#include "kernels/cuda/skinny_product.h"
#include "kernels/host_device.h"

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
inline constexpr int kResults = kSums / kThreads;  // of a tile that a thread stores, at most
static_assert(kResults == 2);
inline constexpr int kMaxCluster = 8;
inline constexpr int kTokenPad = kWarpDepth / 2;        // between tokens, against bank conflicts
inline constexpr int kTokenBytes = 112 << 10;           // of all tokens' parts of a depth, at most
inline constexpr int64_t kMostRows = int64_t{1} << 30;  // and bytes of a row

struct SkinnyCall {
  SkinnyProduct product;
  int64_t weight_stride, x_stride;  // bytes between rows
  int row_bytes;                    // that are multiplied
  int cluster, num_units;
  int pair_distance;  // of the features that make a result, or two, together; 0 = none do
  int steps;          // of a unit's whole depth

  // Of block `rank` of a cluster: [first_step(rank), first_step(rank + 1)).
  __device__ int first_step(int rank) const { return rank * steps / cluster; }
};

// The weights of a row tile that a warp takes in one step. Odd rows have their halves swapped,
// against bank conflicts.
struct WarpTile {
  uint4 chunk[16][kChunks];

  __device__ uint4& At(int row, int column) { return chunk[row][column ^ (row % 2 * 4)]; }
};

inline constexpr int kNormPack = 8;  // 16-bit elements of a token that are normed at once
inline constexpr int kMostPieces = 4096;

// On the way to tokens that are normed: sums of squares by runs of a warp's packs, and what they
// come to.
struct NormSums {
  float squares[kMostPieces];  // [T, pieces]
  float inverse_rms[kSkinnyTokens];
};
REGATTA_HOST_DEVICE inline int NormPieces(const SkinnyProduct& product) {
  constexpr int kPiece = kWarp * kNormPack;
  return static_cast<int>((product.x.values.shape[1] + kPiece - 1) / kPiece);
}

template <int kStages>
struct alignas(128) BlockMemory {
  WarpTile ring[kWarps][kStages];
  float partial[kWarps][kTileTokens][kSumStride];  // sums of warps
  float whole[2][kSums];                           // of the block, read by its cluster
  SkinnyCall call;  // read before the wait: parameters of a kernel are slow when first met
  // Behind it: tokens' chunks, the part of the depth that is the block's; then the norm's weight.

  // While there are no sums yet.
  __device__ NormSums& norm_sums() { return reinterpret_cast<NormSums&>(partial); }
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

// The first of 16 neighbouring features of a unit. Where features make pairs, gates and what they
// are for or the halves of heads, a unit has the first ones and, behind them, the others.
template <bool kFused>
__device__ int FeatureOf(const SkinnyCall& call, int unit, int row_tile) {
  if (call.pair_distance == 0) return unit * kUnitRows + row_tile * 16;
  constexpr int kTiles = kRowTiles / 2;
  const auto distance = static_cast<uint32_t>(call.pair_distance);
  const auto pair = static_cast<uint32_t>(unit * kTiles + row_tile % kTiles) * 16;
  const uint32_t pairs_before = kFused ? pair / distance : 0;  // gates are all of one run
  return static_cast<int>(pair + (pairs_before + row_tile / kTiles) * distance);
}

// Begins the copies of one row tile, zeros where there is nothing.
template <bool kFused>
__device__ void CopyWeights(const SkinnyCall& call, const Place& place, uint64_t policy,
                            WarpTile& tile) {
  constexpr int kRows = kWarp / kChunks;  // at once
  const Tensor& weight = call.product.weight;
  const int lane = threadIdx.x % kWarp, warp = threadIdx.x / kWarp;
  if (place.unit < call.num_units) {
    const int depth = place.step * kDepth + warp * kWarpDepth + lane % kChunks * kChunk;
    const int first = FeatureOf<kFused>(call, place.unit, place.row_tile) + lane / kChunks;
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

// Parameters where they are near.
__device__ inline void CopyParameters(const SkinnyCall& from, SkinnyCall& to) {
  constexpr int kWords = sizeof(SkinnyCall) / sizeof(uint32_t);
  const auto* words = reinterpret_cast<const uint32_t*>(&from);
#pragma unroll 1
  for (int i = threadIdx.x; i < kWords; i += kThreads) {
    reinterpret_cast<uint32_t*>(&to)[i] = words[i];
  }
}

// The block's part of the tokens, bytes [begin, begin + width) of each, zeros beyond what there is.
// Several chunks are on their way at once.
__device__ inline void LoadTokens(const SkinnyCall& call, int begin, int width, char* to) {
  constexpr int kAtOnce = 4;
  const Tensor& x = call.product.x.values;
  const int chunks = width / kChunk, count = static_cast<int>(x.shape[0]) * chunks;
#pragma unroll 1
  for (int first = threadIdx.x; first < count; first += kAtOnce * kThreads) {
    uint4 loaded[kAtOnce];
#pragma unroll
    for (int k = 0; k < kAtOnce; ++k) {
      const int i = first + k * kThreads, token = i / chunks, place = begin + i % chunks * kChunk;
      const char* from = static_cast<const char*>(x.data) + token * call.x_stride + place;
      const bool held = i < count && place < call.row_bytes;
      loaded[k] = held ? *reinterpret_cast<const uint4*>(from) : uint4{0, 0, 0, 0};
    }
#pragma unroll
    for (int k = 0; k < kAtOnce; ++k) {
      const int i = first + k * kThreads, token = i / chunks, offset = i % chunks * kChunk;
      if (i >= count) break;
      *reinterpret_cast<uint4*>(to + token * (width + kTokenPad) + offset) = loaded[k];
    }
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
__device__ inline float ScaledSum(const SkinnyProduct& product, int64_t feature, int64_t token,
                                  float sum) {
  if (product.x.scale.data != nullptr) {
    const auto* scales = static_cast<const float*>(product.x.scale.data);
    const float x_scale = scales[product.x.scale.rank == 1 ? 0 : token];
    sum *= x_scale * product.scales.At(product.weight.data, feature, 0);
  }
  if (product.bias.data != nullptr) {
    sum += LoadElement(product.bias.data, product.bias.dtype, feature);
  }
  return sum;
}

// The sum of a row of a unit over the blocks of the cluster, in order of rank.
__device__ inline float ClusterSum(const SkinnyCall& call, const float* own) {
  float sum = 0;
#pragma unroll 1
  for (int rank = 0; rank < call.cluster; ++rank) sum += LoadOfBlock(own, rank);
  return sum;
}

// What a result needs beside its sums: cosine and sine that rotate it, or the bits of what it is
// added to, which nothing converts before they are needed: that would wait for them.
struct Beside {
  float first = 0, second = 0;
};

__device__ inline float LoadBits(const void* array, DType dtype, int64_t i) {
  if (dtype == DType::kFloat32) return static_cast<const float*>(array)[i];
  return __uint_as_float(static_cast<const uint16_t*>(array)[i]);
}

__device__ inline float FromBits(float bits, DType dtype) {
  const uint32_t low = __float_as_uint(bits);
  if (dtype == DType::kBFloat16) return __uint_as_float(low << 16);
  if (dtype == DType::kFloat16) return __half2float(__ushort_as_half(static_cast<uint16_t>(low)));
  return bits;
}

// Two features of a head half of it apart: queries and keys rotated by `angle` (Su et al. 2021),
// keys and values to the cache. A token with a negative slot is not cached.
__device__ inline void StorePair(const SkinnyCall& call, int feature, int64_t token, float low,
                                 float high, const Beside& angle) {
  const RotatedHeads& heads = call.product.heads;
  const int head = feature / heads.head_dim - heads.num_heads;  // of keys, then values
  const bool is_value = head >= heads.num_kv_heads;
  if (!is_value) {
    const float x = low;
    low = x * angle.first - high * angle.second;
    high = high * angle.first + x * angle.second;
  }
  const Tensor& to = head < 0 ? call.product.out : is_value ? heads.cache.v : heads.cache.k;
  int64_t place = token * to.row_stride + feature;
  if (head >= 0) {
    const int64_t slot = heads.kv_slot[token];
    if (slot < 0) return;
    place = PlaceInCache(to, slot, head % heads.num_kv_heads) + feature % heads.head_dim;
    const float factor = 1.0f / (is_value ? heads.cache.v_scale : heads.cache.k_scale);
    low *= factor;
    high *= factor;
  }
  StoreElement(to.data, to.dtype, place, low);
  StoreElement(to.data, to.dtype, place + call.pair_distance, high);
}

// What the result of `row` of a unit needs of one token. What rotates may be read before the wait.
template <bool kFused>
__device__ Beside LoadBeside(const SkinnyCall& call, int unit, int row, int64_t token) {
  if constexpr (!kFused) return {};
  const SkinnyProduct& product = call.product;
  const int feature = FeatureOf<kFused>(call, unit, row / 16) + row % 16;
  if (feature >= product.weight.shape[0]) return {};
  if (product.adds) {
    const Tensor& out = product.out;
    return {LoadBits(out.data, out.dtype, token * out.row_stride + feature)};
  }
  if (!product.heads) return {};
  const Tensor& rope = product.heads.rope;
  const float* angles = static_cast<const float*>(rope.data) +
                        product.heads.positions[token] * rope.row_stride +
                        feature % product.heads.head_dim;
  return {angles[0], angles[call.pair_distance]};
}

// The result of `row` of a unit, from the sums `whole` of one token.
template <bool kFused>
__device__ void StoreResult(const SkinnyCall& call, int unit, int row, int64_t token,
                            const float* whole, const Beside& beside) {
  const SkinnyProduct& product = call.product;
  const Tensor& out = product.out;
  const int feature = FeatureOf<kFused>(call, unit, row / 16) + row % 16;
  if (feature >= product.weight.shape[0]) return;
  float value = ScaledSum(product, feature, token, ClusterSum(call, whole + row));
  if (call.pair_distance > 0) {
    const int other_feature = feature + call.pair_distance;
    const float other =
        ScaledSum(product, other_feature, token, ClusterSum(call, whole + row + kUnitRows / 2));
    if (kFused && !product.gated) return StorePair(call, feature, token, value, other, beside);
    value *= Sigmoid(value) * other;
  }
  if (product.out_scale != nullptr) value *= 1.0f / *product.out_scale;
  if (kFused && product.adds) value += FromBits(beside.first, out.dtype);
  StoreElement(out.data, out.dtype, token * out.row_stride + feature, value);
}

using WarpSums = float[kTileTokens][kSumStride];

// Which results of a tile of tokens a thread stores.
struct OwnResults {
  int rows;   // of a unit that have results
  int count;  // of the tile
  int first, stride;

  __device__ OwnResults(const SkinnyCall& call, int first_token, int rank)
      : rows(call.pair_distance > 0 ? kUnitRows / 2 : kUnitRows),
        count(min(kTileTokens, static_cast<int>(call.product.out.shape[0]) - first_token) * rows),
        first(threadIdx.x + rank * kThreads),
        stride(call.cluster * kThreads) {}
};

// Begins to load what the results of a tile need, long before they do.
template <bool kFused>
__device__ void LoadBesides(const SkinnyCall& call, int unit, int first_token, int rank,
                            Beside (&beside)[kResults]) {
  const OwnResults own(call, first_token, rank);
#pragma unroll
  for (int k = 0; k < kResults; ++k) {
    const int i = own.first + k * own.stride;
    if (i < own.count)
      beside[k] = LoadBeside<kFused>(call, unit, i % own.rows, first_token + i / own.rows);
  }
}

// The sums of one tile of tokens over the warps, then over the cluster. `whole` alternates from
// call to call: a block may write it while another reads that of before. Loops are not unrolled:
// what runs once a tile had better not push the kernel out of the cache of instructions.
template <bool kFused>
__device__ void FinishTile(const SkinnyCall& call, int unit, int first_token, int rank,
                           const Beside (&beside)[kResults], const WarpSums (&partial)[kWarps],
                           float (&whole)[kSums]) {
  const OwnResults own(call, first_token, rank);
  __syncthreads();
#pragma unroll 1
  for (int i = threadIdx.x; i < own.count / own.rows * kUnitRows; i += kThreads) {
    float sum = 0;
#pragma unroll
    for (int w = 0; w < kWarps; ++w) sum += partial[w][i / kUnitRows][i % kUnitRows];
    whole[i] = sum;
  }
  SyncCluster();
#pragma unroll 1
  for (int k = 0; k < kResults; ++k) {
    const int i = own.first + k * own.stride, token = i / own.rows;
    if (i >= own.count) return;
    StoreResult<kFused>(call, unit, i % own.rows, first_token + token, whole + token * kUnitRows,
                        k == 0 ? beside[0] : beside[1]);
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
