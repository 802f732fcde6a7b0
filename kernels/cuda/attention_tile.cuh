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

// Four 8 x 8 matrices of 16-bit elements, a row per lane; transposed when kTransposed.
template <bool kTransposed>
__device__ void LoadMatrices(const void* row_of_lane, uint32_t (&to)[4]) {
  const auto address = static_cast<uint32_t>(__cvta_generic_to_shared(row_of_lane));
  if constexpr (kTransposed) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
                 : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3])
                 : "r"(address));
  } else {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
                 : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3])
                 : "r"(address));
  }
}

// What products over a cache of S are computed in, for queries of T.
template <typename T, typename S>
using ComputeType = std::conditional_t<std::is_same_v<T, S>, T, __half>;

// Two neighbouring query elements; those beyond float16's range become its largest.
template <typename C, typename T>
__device__ uint32_t QueryPair(const T* from) {
  if constexpr (std::is_same_v<C, T>) {
    return *reinterpret_cast<const uint32_t*>(from);
  } else {
    const auto pair = *reinterpret_cast<const Pack<T, 2>*>(from);
    uint32_t result;
    asm("cvt.rn.satfinite.f16x2.f32 %0, %1, %2;"
        : "=r"(result)
        : "f"(Widen(pair.at[1])), "f"(Widen(pair.at[0])));
    return result;
  }
}

// Four E4M3 numbers in float16, exactly.
__device__ inline void UnpackFour(uint32_t four, uint32_t& low, uint32_t& high) {
#if __CUDA_ARCH__ >= 890
  asm("{.reg .b16 first, second; mov.b32 {first, second}, %2;"
      "cvt.rn.f16x2.e4m3x2 %0, first; cvt.rn.f16x2.e4m3x2 %1, second;}"
      : "=r"(low), "=r"(high)
      : "r"(four));
#else
  const auto unpack = [](uint32_t two) {
    const __half2_raw pair =
        __nv_cvt_fp8x2_to_halfraw2(static_cast<__nv_fp8x2_storage_t>(two), __NV_E4M3);
    return uint32_t{pair.x} | uint32_t{pair.y} << 16;
  };
  low = unpack(four);
  high = unpack(four >> 16);
#endif
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

// One side of a tile in E4M3 becomes the same in float16.
template <int kDim>
__device__ void UnpackSide(const __nv_fp8_e4m3* from, __half* to) {
  using Stored = KvTile<__nv_fp8_e4m3, kDim>;
  using Wide = KvTile<__half, kDim>;
  for (int i = threadIdx.x; i < kTileKeys * Stored::kChunks; i += kTileThreads) {
    const int row = i / Stored::kChunks, column = i % Stored::kChunks * Stored::kChunk;
    const auto bytes = *reinterpret_cast<const uint4*>(from + row * Stored::kStride + column);
    uint4 wide[2];
    UnpackFour(bytes.x, wide[0].x, wide[0].y);
    UnpackFour(bytes.y, wide[0].z, wide[0].w);
    UnpackFour(bytes.z, wide[1].x, wide[1].y);
    UnpackFour(bytes.w, wide[1].z, wide[1].w);
    auto* out = reinterpret_cast<uint4*>(to + row * Wide::kStride + column);
    out[0] = wide[0];
    out[1] = wide[1];
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

  template <typename Q>
  __device__ void Load(const AttentionCall& call, int s, int kv_head, int first_row) {
    const int lane = threadIdx.x % kWarp;
    for (int half = 0; half < 2; ++half) {
      const int row = first_row + lane / 4 + 8 * half;
      const bool held = row < call.rows_of(s);
      visible[half] = held ? call.visible(s, row) : int2{1, 0};
      const Q* q = static_cast<const Q*>(call.q.data) +
                   (held ? call.offset_of(s, kv_head, row, call.q.row_stride) : 0);
#pragma unroll
      for (int k = 0; k < kDim / 16; ++k) {
#pragma unroll
        for (int side = 0; side < 2; ++side) {
          const int at = 16 * k + 8 * side + lane % 4 * 2;
          const bool inside = held && at < call.head_dim;
          query[k][half + 2 * side] = inside ? QueryPair<T>(q + at) : 0;
        }
      }
    }
  }

  // Attends to kKeys keys of the tile from row `first`, whose position is `position`.
  template <int kKeys>
  __device__ void Attend(const KvTile<T, kDim>& tile, int first, int position, float scale_log2) {
    const int lane = threadIdx.x % kWarp;
    float score[kKeys / 8][4] = {};
    const T* key = tile.k + (first + lane % 8) * tile.kStride + lane / 8 * 8;
#pragma unroll
    for (int k = 0; k < kDim / 16; k += 2) {
#pragma unroll
      for (int n = 0; n < kKeys / 8; ++n) {  // sums that do not wait for one another
        uint32_t b[4];
        LoadMatrices<false>(key + 8 * n * tile.kStride + 16 * k, b);
        Mma<T>(score[n], query[k], {b[0], b[1]});
        Mma<T>(score[n], query[k + 1], {b[2], b[3]});
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
      const T* value = tile.v + (first + 16 * k + lane % 16) * tile.kStride + lane / 16 * 8;
#pragma unroll
      for (int n = 0; n < kDim / 8; n += 2) {
        uint32_t b[4];
        LoadMatrices<true>(value + 8 * n, b);
        Mma<T>(sum[n], a, {b[0], b[1]});
        Mma<T>(sum[n + 1], a, {b[2], b[3]});
        Mma<T>(sum[n], rest, {b[0], b[1]});
        Mma<T>(sum[n + 1], rest, {b[2], b[3]});
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
