// Pieces of the tensor-core attention kernels for tiles of rows: copies of key and value tiles, the
// streaming softmax of one warp.
#pragma once

#include "kernels/cuda/async_copy.cuh"
#include "kernels/cuda/attention_call.cuh"
#include "kernels/cuda/attention_fragments.cuh"
#include "kernels/cuda/mma.cuh"

namespace regatta {

inline constexpr int kTileKeys = 64;
inline constexpr int kTileThreads = 128;

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

  // Those of rows that do not exist are any. `kWhole`: heads are kDim wide.
  template <typename Q, bool kWhole = false>
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
          const bool inside = kWhole || at < call.head_dim;
          query[k][half + 2 * side] = inside ? QueryPair<T>(q + at) : 0;
        }
      }
    }
  }

  // Forgets what was summed.
  __device__ void Clear() {
#pragma unroll
    for (int n = 0; n < kDim / 8; ++n) {
#pragma unroll
      for (int i = 0; i < 4; ++i) sum[n][i] = 0;
    }
    for (int half = 0; half < 2; ++half) {
      max[half] = -INFINITY;
      weight[half] = 0;
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
    float shrink[2];
    Soften<kKeys>(score, position, scale_log2, shrink);
    Shrink(shrink);
#pragma unroll
    for (int k = 0; k < kKeys / 16; ++k) {
      uint32_t a[4], rest[4];
      SplitWeights<kKeys>(score, k, a, rest);
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

  // Scores of keys that a row does not see become -infinity; few tiles hold any.
  template <int kKeys>
  __device__ void Hide(float (&score)[kKeys / 8][4], int position) const {
    const bool all = position >= ::max(visible[0].x, visible[1].x) &&
                     position + kKeys - 1 <= ::min(visible[0].y, visible[1].y);
    if (__all_sync(kAllLanes, all)) return;
    const int first = position + static_cast<int>(threadIdx.x) % 4 * 2;
#pragma unroll
    for (int n = 0; n < kKeys / 8; ++n) {
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        const int at = first + 8 * n + i % 2;
        const bool seen = at >= visible[i / 2].x && at <= visible[i / 2].y;
        if (!seen) score[n][i] = -INFINITY;
      }
    }
  }

  // Scores become weights relative to the new maxima, by which what was summed before is to shrink.
  // A maximum stays until a score is far above it, so that sums seldom shrink (as in
  // FlashAttention-4): weights are at most 2^kGrowth. `scale_log2` is positive.
  template <int kKeys>
  __device__ void Soften(float (&score)[kKeys / 8][4], int position, float scale_log2,
                         float (&shrink)[2]) {
    constexpr float kGrowth = 8;
    Hide<kKeys>(score, position);
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      float largest = -INFINITY;
#pragma unroll
      for (int n = 0; n < kKeys / 8; ++n) {
        largest = fmaxf(largest, fmaxf(score[n][2 * half], score[n][2 * half + 1]));
      }
      largest = fmaxf(largest, __shfl_xor_sync(kAllLanes, largest, 1));
      largest = fmaxf(largest, __shfl_xor_sync(kAllLanes, largest, 2));
      largest *= scale_log2;
      const float new_max = largest > max[half] + kGrowth ? largest : max[half];
      const float base = new_max == -INFINITY ? 0 : new_max;
      // Exactly 1 where nothing was seen yet too, so that such rows make no others shrink.
      shrink[half] = new_max == max[half] ? 1 : PowerOfTwo(max[half] - base);
      max[half] = new_max;
      weight[half] *= shrink[half];
#pragma unroll
      for (int n = 0; n < kKeys / 8; ++n) {
#pragma unroll
        for (int i = 0; i < 2; ++i) {
          float& own = score[n][2 * half + i];
          own = PowerOfTwo(fmaf(own, scale_log2, -base));
          weight[half] += own;
        }
      }
    }
  }

  __device__ void Shrink(const float (&shrink)[2]) {
    if (__all_sync(kAllLanes, shrink[0] == 1 && shrink[1] == 1)) return;
#pragma unroll
    for (int n = 0; n < kDim / 8; ++n) {
#pragma unroll
      for (int i = 0; i < 4; ++i) sum[n][i] *= shrink[i / 2];
    }
  }

  // Weights of keys [16 k, 16 k + 16) of a tile as a fragment, and what rounding them lost.
  template <int kKeys>
  static __device__ void SplitWeights(const float (&score)[kKeys / 8][4], int k, uint32_t (&a)[4],
                                      uint32_t (&rest)[4]) {
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      const float* pair = score[2 * k + i / 2] + i % 2 * 2;
      SplitPair<T>(pair[0], pair[1], a[i], rest[i]);
    }
  }

  // The same of the fragment alone.
  template <int kKeys>
  static __device__ void RoundWeights(const float (&score)[kKeys / 8][4], int k, uint32_t (&a)[4]) {
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      const float* pair = score[2 * k + i / 2] + i % 2 * 2;
      const auto rounded = RoundPair<T>(pair[0], pair[1]);
      a[i] = *reinterpret_cast<const uint32_t*>(&rounded);
    }
  }

  // Divides the sums of rows from first_row on and stores them, in Out or E4M3. `out_factor`:
  // AttentionCall's.
  template <typename Out, bool kWhole = false>
  __device__ void Store(const AttentionCall& call, float out_factor, int s, int kv_head,
                        int first_row) const {
    const int column = threadIdx.x % 4 * 2, num_rows = call.rows_of(s);
    float factor[2];
    int64_t offset[2];
    bool held[2];
    for (int half = 0; half < 2; ++half) {
      const int row = first_row + static_cast<int>(threadIdx.x) % kWarp / 4 + 8 * half;
      held[half] = row < num_rows;
      factor[half] = out_factor / WholeWeight(half);
      offset[half] = call.offset_of(s, kv_head, row, call.out.row_stride) + column;
    }
    const auto store = [&]<typename To>(To) {
      for (int half = 0; half < 2; ++half) {
        if (!held[half]) continue;
        To* out = static_cast<To*>(call.out.data) + offset[half];
#pragma unroll
        for (int n = 0; n < kDim / 8; ++n) {
          if (!kWhole && 8 * n + column >= call.head_dim) continue;
          *reinterpret_cast<Pack<To, 2>*>(out + 8 * n) = {
              {Narrow<To>(sum[n][2 * half] * factor[half]),
               Narrow<To>(sum[n][2 * half + 1] * factor[half])}};
        }
      }
    };
    if (call.out.dtype == DType::kFloat8E4M3) {
      store(__nv_fp8_e4m3{});
    } else {
      store(Out{});
    }
  }

  // The sum of a row's weights over its four lanes.
  __device__ float WholeWeight(int half) const {
    float whole = weight[half] + __shfl_xor_sync(kAllLanes, weight[half], 1);
    return whole + __shfl_xor_sync(kAllLanes, whole, 2);
  }
};

}  // namespace regatta
