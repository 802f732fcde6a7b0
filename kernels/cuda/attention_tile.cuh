// Pieces of the tensor-core attention kernel: matrix fragments of mma.m16n8k16 (PTX ISA, "Matrix
// Fragments for mma.m16n8k16"), copies of key and value tiles, the streaming softmax of one warp.
#pragma once

#include <type_traits>

#include "kernels/cuda/async_copy.cuh"
#include "kernels/cuda/attention_call.cuh"
#include "kernels/cuda/mma.cuh"

namespace regatta {

inline constexpr int kTileKeys = 64;
inline constexpr int kTileThreads = 128;

// Two neighbouring elements in one register, and what rounding them lost in another: together 16
// bits of each weight take part in the product with the values.
template <typename T>
__device__ void SplitPair(float low, float high, uint32_t& rounded, uint32_t& rest) {
  Pack<T, 2> pair{{Narrow<T>(low), Narrow<T>(high)}};
  Pack<T, 2> lost{{Narrow<T>(low - Widen(pair.at[0])), Narrow<T>(high - Widen(pair.at[1]))}};
  rounded = *reinterpret_cast<uint32_t*>(&pair);
  rest = *reinterpret_cast<uint32_t*>(&lost);
}

// The fragment b of a tile [16 keys, 8 columns] stored row by row.
__device__ inline void LoadTransposed(const void* row_of_lane, uint32_t (&b)[2]) {
  const auto address = static_cast<uint32_t>(__cvta_generic_to_shared(row_of_lane));
  asm volatile("ldmatrix.sync.aligned.m8n8.x2.trans.shared.b16 {%0,%1}, [%2];"
               : "=r"(b[0]), "=r"(b[1])
               : "r"(address));
}

inline constexpr uint32_t kBytes01 = 0x1404, kBytes23 = 0x3424;
inline constexpr uint32_t kBytes02 = 0x2404, kBytes13 = 0x3414;
template <typename T>
inline constexpr bool kIsHalf = std::is_same_v<T, __half>;

// Two of four E4M3 numbers in T, exactly, by their bits: the exponent is too small by T's bias less
// 7 until the product. `kBytes` is the selector of prmt that puts each into the upper half of 16
// bits. (A NaN becomes 480: a cache holds none unless the model made it.)
template <typename T, uint32_t kBytes>
__device__ uint32_t UnpackTwo(uint32_t four) {
  const uint32_t spread = __byte_perm(four, 0, kBytes);
  const uint32_t magnitude = (spread & 0x7f007f00u) >> (kIsHalf<T> ? 1 : 4);
  const uint32_t bits = (spread & 0x80008000u) | magnitude;
  if constexpr (kIsHalf<T>) {
    const auto pair = __hmul2(*reinterpret_cast<const __half2*>(&bits), __float2half2_rn(0x1p8f));
    return *reinterpret_cast<const uint32_t*>(&pair);
  } else {
    const auto pair =
        __hmul2(*reinterpret_cast<const __nv_bfloat162*>(&bits), __float2bfloat162_rn(0x1p120f));
    return *reinterpret_cast<const uint32_t*>(&pair);
  }
}

// Keys and values of one tile as the cache or the product has them, rows padded against bank
// conflicts.
template <typename T, int kDim>
struct KvTile {
  static constexpr int kChunk = 16 / static_cast<int>(sizeof(T));  // elements of one copy
  static constexpr int kStride = kDim + kChunk;
  T k[kTileKeys * kStride];
  T v[kTileKeys * kStride];

  static constexpr int kChunks = kDim / kChunk;
  static constexpr int kPasses = kTileKeys * kChunks / kTileThreads;
  static constexpr int kRows = kTileThreads / kChunks;  // of one pass

  // The cache blocks of the rows that this thread copies; read well before the copy needs them.
  struct Blocks {
    int at[kPasses];

    __device__ void Read(const AttentionCall& call, int s, int first, int end) {
#pragma unroll
      for (int i = 0; i < kPasses; ++i) {
        const int position = first + threadIdx.x / kChunks + i * kRows;
        at[i] = position < end ? call.block_of(s, position) : 0;
      }
    }
  };

  // Begins the copy of positions [first, first + kTileKeys), zeros from `end` on.
  __device__ void Copy(const AttentionCall& call, const Blocks& blocks, int kv_head, int first,
                       int end) {
    const int chunk = threadIdx.x % kChunks;
    if (chunk * kChunk >= call.head_dim) return;
#pragma unroll
    for (int i = 0; i < kPasses; ++i) {
      const int row = threadIdx.x / kChunks + i * kRows;
      const bool held = first + row < end;
      const int position = held ? first + row : 0;
      const int at = chunk * kChunk;
      const int64_t key = call.cached(call.cache.k, blocks.at[i], kv_head, position) + at;
      const int64_t value = call.cached(call.cache.v, blocks.at[i], kv_head, position) + at;
      const int to = row * kStride + at;
      CopyAsync(k + to, static_cast<const T*>(call.cache.k.data) + key, held ? 16 : 0);
      CopyAsync(v + to, static_cast<const T*>(call.cache.v.data) + value, held ? 16 : 0);
    }
  }
};

// One side of a tile in E4M3 becomes the same in T.
template <typename T, int kDim>
__device__ void UnpackSide(const __nv_fp8_e4m3* from, T* to) {
  using Stored = KvTile<__nv_fp8_e4m3, kDim>;
  using Wide = KvTile<T, kDim>;
  for (int i = threadIdx.x; i < kTileKeys * Stored::kChunks; i += kTileThreads) {
    const int row = i / Stored::kChunks, column = i % Stored::kChunks * Stored::kChunk;
    const auto bytes = *reinterpret_cast<const uint4*>(from + row * Stored::kStride + column);
    const uint32_t fours[4] = {bytes.x, bytes.y, bytes.z, bytes.w};
    uint32_t pairs[4][2];
#pragma unroll
    for (int j = 0; j < 4; ++j) {
      pairs[j][0] = UnpackTwo<T, kBytes01>(fours[j]);
      pairs[j][1] = UnpackTwo<T, kBytes23>(fours[j]);
    }
    auto* out = reinterpret_cast<uint4*>(to + row * Wide::kStride + column);
    out[0] = {pairs[0][0], pairs[0][1], pairs[1][0], pairs[1][1]};
    out[1] = {pairs[2][0], pairs[2][1], pairs[3][0], pairs[3][1]};
  }
}

// 16 rows of one warp: lane holds rows lane / 4 and lane / 4 + 8. Sums are not divided yet; maxima
// are of scores in units of log 2.
template <typename T, int kDim>
struct WarpRows {
  uint32_t query[kDim / 16][4];
  float sum[kDim / 8][4] = {};
  float max[2] = {-INFINITY, -INFINITY};
  float weight[2] = {0, 0};
  int2 visible[2];  // first and last position; none for rows that do not exist

  __device__ void Load(const AttentionCall& call, int s, int kv_head, int first_row) {
    const int lane = threadIdx.x % kWarp;
    for (int half = 0; half < 2; ++half) {
      const int row = first_row + lane / 4 + 8 * half;
      const bool held = row < call.rows_of(s);
      visible[half] = held ? call.visible(s, row) : int2{1, 0};
      const T* q = static_cast<const T*>(call.q.data) +
                   (held ? call.offset_of(s, kv_head, row, call.q.row_stride) : 0);
#pragma unroll
      for (int k = 0; k < kDim / 16; ++k) {
#pragma unroll
        for (int side = 0; side < 2; ++side) {
          const int at = 16 * k + 8 * side + lane % 4 * 2;
          const bool inside = held && at < call.head_dim;
          query[k][half + 2 * side] = inside ? *reinterpret_cast<const uint32_t*>(q + at) : 0;
        }
      }
    }
  }

  // Attends to kKeys keys of the tile from row `first`, whose position is `position`.
  template <int kKeys>
  __device__ void Attend(const KvTile<T, kDim>& tile, int first, int position, float scale_log2) {
    const int lane = threadIdx.x % kWarp;
    float score[kKeys / 8][4] = {};
#pragma unroll
    for (int n = 0; n < kKeys / 8; ++n) {
      const T* key = tile.k + (first + 8 * n + lane / 4) * tile.kStride + lane % 4 * 2;
#pragma unroll
      for (int k = 0; k < kDim / 16; ++k) {
        const uint32_t b[2] = {*reinterpret_cast<const uint32_t*>(key + 16 * k),
                               *reinterpret_cast<const uint32_t*>(key + 16 * k + 8)};
        Mma<T>(score[n], query[k], b);
      }
    }
    Soften<kKeys>(score, position, scale_log2);
#pragma unroll
    for (int k = 0; k < kKeys / 16; ++k) {
      uint32_t a[4], rest[4];
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        const float* pair = score[2 * k + i / 2] + i % 2 * 2;
        SplitPair<T>(pair[0], pair[1], a[i], rest[i]);
      }
      const T* value = tile.v + (first + 16 * k + lane % 16) * tile.kStride;
#pragma unroll
      for (int n = 0; n < kDim / 8; ++n) {
        uint32_t b[2];
        LoadTransposed(value + 8 * n, b);
        Mma<T>(sum[n], a, b);
        Mma<T>(sum[n], rest, b);
      }
    }
  }

  // Scores become weights relative to the new maxima; what was summed before is rescaled.
  template <int kKeys>
  __device__ void Soften(float (&score)[kKeys / 8][4], int position, float scale_log2) {
    const int lane = threadIdx.x % kWarp;
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      float new_max = max[half];
#pragma unroll
      for (int n = 0; n < kKeys / 8; ++n) {
#pragma unroll
        for (int i = 0; i < 2; ++i) {
          const int at = position + 8 * n + lane % 4 * 2 + i;
          const bool seen = at >= visible[half].x && at <= visible[half].y;
          float& own = score[n][2 * half + i];
          own = seen ? own * scale_log2 : -INFINITY;
          new_max = fmaxf(new_max, own);
        }
      }
      new_max = fmaxf(new_max, __shfl_xor_sync(kAllLanes, new_max, 1));
      new_max = fmaxf(new_max, __shfl_xor_sync(kAllLanes, new_max, 2));
      const float base = new_max == -INFINITY ? 0 : new_max;
      const float shrink = exp2f(max[half] - base);
      max[half] = new_max;
      weight[half] *= shrink;
#pragma unroll
      for (int n = 0; n < kDim / 8; ++n) {
        sum[n][2 * half] *= shrink;
        sum[n][2 * half + 1] *= shrink;
      }
#pragma unroll
      for (int n = 0; n < kKeys / 8; ++n) {
#pragma unroll
        for (int i = 0; i < 2; ++i) {
          float& own = score[n][2 * half + i];
          own = exp2f(own - base);
          weight[half] += own;
        }
      }
    }
  }

  // The sum of a row's weights over its four lanes.
  __device__ float WholeWeight(int half) const {
    float whole = weight[half] + __shfl_xor_sync(kAllLanes, weight[half], 1);
    return whole + __shfl_xor_sync(kAllLanes, whole, 2);
  }
};

}  // namespace regatta
