// What one warp of the decoding attention does: copies of 16 keys and values, their fragments, the
// streaming softmax. Products are transposed, which wastes nothing on rows that do not exist:
// scores are keys times queries, [16, 8], and sums are values times weights, [16 dimensions, 8
// rows].
#pragma once

#include "kernels/cuda/attention_splits.cuh"
#include "kernels/cuda/attention_tile.cuh"
#include "kernels/cuda/rotation.cuh"

namespace regatta {

inline constexpr int kWarpKeys = 16;  // of one step of a warp

// An 8 x 8 matrix of 16-bit elements held by a warp, transposed.
__device__ inline uint32_t Transposed(uint32_t pair) {
  uint32_t result;
  asm("movmatrix.sync.aligned.m8n8.trans.b16 %0, %1;" : "=r"(result) : "r"(pair));
  return result;
}

// Keys and values of one step of a warp, as the cache holds them. The 16 bytes of a row that lie
// under one another in eight rows are in different banks.
template <typename S, int kDim>
struct WarpTile {
  static constexpr int kChunk = 16 / static_cast<int>(sizeof(S));  // elements of one copy
  static constexpr int kChunks = kDim / kChunk;
  S k[kWarpKeys * kDim];
  S v[kWarpKeys * kDim];

  // The first element of a chunk of a row.
  static __device__ int Place(int row, int chunk) {
    constexpr int kRowsOfLine = kChunks < 8 ? 8 / kChunks : 1;  // a line has 128 bytes
    return (row * kChunks + (chunk ^ (row / kRowsOfLine % (8 / kRowsOfLine)))) * kChunk;
  }

  // Begins the copy of positions [position, position + kWarpKeys) of one block, zeros from `end`
  // on.
  __device__ void Copy(const AttentionCall& call, int block, int kv_head, int position, int end) {
    constexpr int kRowsOfPass = kWarp / kChunks;
    const int lane = static_cast<int>(threadIdx.x) % kWarp;
    const int first_row = lane / kChunks, chunk = lane % kChunks;
    const int64_t row_stride = int64_t{call.num_kv_heads} * kDim;
    const int64_t own = first_row * row_stride + chunk * kChunk;
    const S* key = static_cast<const S*>(call.cache.k.data) +
                   call.cached<true>(call.cache.k, block, kv_head, position) + own;
    const S* value = static_cast<const S*>(call.cache.v.data) +
                     call.cached<true>(call.cache.v, block, kv_head, position) + own;
#pragma unroll
    for (int i = 0; i < kWarpKeys / kRowsOfPass; ++i) {
      const int row = i * kRowsOfPass + first_row;
      const int held = position + row < end ? 16 : 0;
      const int64_t from = i * kRowsOfPass * row_stride;
      CopyAsync(k + Place(row, chunk), key + from, held);
      CopyAsync(v + Place(row, chunk), value + from, held);
    }
  }
};

// The key, rotated, and the value of a sequence's only token as the cache holds them; a lane has
// some neighbouring elements of each half of a head.
template <typename T, typename S, int kDim>
struct NewestRow {
  static constexpr int kHalf = kDim / 2, kSize = kHalf / kWarp;
  using Stored = Pack<S, kSize>;
  Stored k[2], v[2];

  static __device__ int first() { return static_cast<int>(threadIdx.x) % kWarp * kSize; }

  // Also puts them into the cache, where the token has a place.
  __device__ void Load(const AttentionCall& call, const NewTokens& tokens, int s, int kv_head,
                       int position) {
    const int token = call.batch.query_start[s];
    const auto part = [&](const Tensor& side, int half) {
      return *reinterpret_cast<const Pack<T, kSize>*>(static_cast<const T*>(side.data) +
                                                      token * side.row_stride + kv_head * kDim +
                                                      half * kHalf + first());
    };
    const auto narrow = [](const Pack<T, kSize>& from, float factor) {
      Stored stored;
#pragma unroll
      for (int j = 0; j < kSize; ++j) stored.at[j] = Narrow<S>(Widen(from.at[j]) * factor);
      return stored;
    };
    Pack<T, kSize> low = part(tokens.k, 0), high = part(tokens.k, 1);
    const float* angles = tokens.angles(position) + first();
#pragma unroll
    for (int j = 0; j < kSize; ++j) {
      Rotate(Widen(low.at[j]), Widen(high.at[j]), angles[j], angles[j + kHalf], low.at[j],
             high.at[j]);
    }
    k[0] = narrow(low, tokens.k_factor);
    k[1] = narrow(high, tokens.k_factor);
    for (int half = 0; half < 2; ++half) v[half] = narrow(part(tokens.v, half), tokens.v_factor);
    if (tokens.kv_slot[token] < 0) return;
    const int block = call.block_of(s, position);
    const auto cached = [&](const Tensor& side, int half) {
      return reinterpret_cast<Stored*>(static_cast<S*>(side.data) +
                                       call.cached<true>(side, block, kv_head, position) +
                                       half * kHalf + first());
    };
    for (int half = 0; half < 2; ++half) {
      *cached(call.cache.k, half) = k[half];
      *cached(call.cache.v, half) = v[half];
    }
  }

  __device__ void Put(WarpTile<S, kDim>& tile, int row) const {
    constexpr int kChunk = WarpTile<S, kDim>::kChunk;
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const int at = first() + half * kHalf;
      const int place = tile.Place(row, at / kChunk) + at % kChunk;
      *reinterpret_cast<Stored*>(tile.k + place) = k[half];
      *reinterpret_cast<Stored*>(tile.v + place) = v[half];
    }
  }
};

// Fragments (PTX ISA, mma.m16n8k16) of a tile in C, two blocks at a time. Lane is 4 g + t.
template <typename C, typename S, int kDim>
struct Fragments {
  using Tile = WarpTile<S, kDim>;

  // Dimension of the first of two neighbouring query elements that register `i` of block k holds.
  static __device__ int QueryDim(int k, int i) { return 16 * k + 8 * i + threadIdx.x % 4 * 2; }
  // Dimension of a lane's row of sums: of g when `high` is 0, of g + 8 when it is 1.
  static __device__ int SumDim(int j, int high) {
    return 16 * j + static_cast<int>(threadIdx.x) % kWarp / 4 + 8 * high;
  }
  // Keys by dimensions [32 i, 32 i + 32).
  static __device__ void Keys(const Tile& tile, int i, uint32_t (&a)[2][4]) {
    const int lane = threadIdx.x % kWarp;
    LoadMatrices<false>(tile.k + Tile::Place(lane % 16, 4 * i + lane / 16), a[0]);
    LoadMatrices<false>(tile.k + Tile::Place(lane % 16, 4 * i + 2 + lane / 16), a[1]);
  }
  // Dimensions [32 i, 32 i + 32) by keys.
  static __device__ void Values(const Tile& tile, int i, uint32_t (&a)[2][4]) {
    const int lane = threadIdx.x % kWarp;
    const int row = lane % 8 + lane / 16 * 8, chunk = 4 * i + lane / 8 % 2;
    LoadMatrices<true>(tile.v + Tile::Place(row, chunk), a[0]);
    LoadMatrices<true>(tile.v + Tile::Place(row, chunk + 2), a[1]);
  }
};

// The same of E4M3, in float16, which holds E4M3 numbers exactly. Dimensions are dealt to lanes in
// another order, in which four neighbouring numbers are a lane's; a product does not mind as long
// as both sides agree.
template <int kDim>
struct Fragments<__half, __nv_fp8_e4m3, kDim> {
  using Tile = WarpTile<__nv_fp8_e4m3, kDim>;

  static __device__ int QueryDim(int k, int i) { return 16 * k + 2 * i + threadIdx.x % 4 * 4; }
  static __device__ int SumDim(int j, int high) {
    return 16 * j + static_cast<int>(threadIdx.x) % kWarp / 4 * 2 + high;
  }
  static __device__ void Keys(const Tile& tile, int i, uint32_t (&a)[2][4]) {
    const int lane = threadIdx.x % kWarp;
    uint32_t fours[4];
    LoadMatrices<false>(tile.k + Tile::Place(lane % 16, 2 * i + lane / 16), fours);
#pragma unroll
    for (int block = 0; block < 2; ++block) {
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        UnpackFour(fours[2 * block + half], a[block][half], a[block][2 + half]);
      }
    }
  }
  // Pairs of dimensions count as 16-bit elements while they are transposed.
  static __device__ void Values(const Tile& tile, int i, uint32_t (&a)[2][4]) {
    const int lane = threadIdx.x % kWarp;
    uint32_t fours[4];
    LoadMatrices<true>(tile.v + Tile::Place(lane % 16, 2 * i + lane / 16), fours);
#pragma unroll
    for (int block = 0; block < 2; ++block) {
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        const uint32_t by_dimension = __byte_perm(fours[2 * block + half], 0, 0x3120);
        UnpackFour(by_dimension, a[block][2 * half], a[block][2 * half + 1]);
      }
    }
  }
};

// What one warp knows of its keys: a lane holds queries of row g, and scores and sums of rows 2 t
// and 2 t + 1. Sums are not divided yet; maxima are of scores in units of log 2.
template <typename T, typename S, int kDim>
struct WarpState {
  using C = ComputeType<T, S>;
  using Part = Fragments<C, S, kDim>;
  uint32_t query[kDim / 16][2];
  float sum[kDim / 16][4] = {};
  float max[2] = {-INFINITY, -INFINITY};
  float weight[2] = {0, 0};
  int2 visible[2];  // first and last position; none for rows that do not exist

  __device__ void Load(const AttentionCall& call, int s, int kv_head, int first_row, int num_rows) {
    const int lane = threadIdx.x % kWarp, row = lane / 4;
    const T* q = static_cast<const T*>(call.q.data);
    if (row < num_rows) q += call.offset_of(s, kv_head, first_row + row, call.q.row_stride);
#pragma unroll
    for (int k = 0; k < kDim / 16; ++k) {
#pragma unroll
      for (int i = 0; i < 2; ++i) {
        const T* pair = q + Part::QueryDim(k, i);
        query[k][i] = row < num_rows ? QueryPair<C>(pair) : 0;
      }
    }
    for (int r = 0; r < 2; ++r) {
      const int own = lane % 4 * 2 + r;
      visible[r] = own < num_rows ? call.visible(s, first_row + own) : int2{1, 0};
    }
  }

  // The same of a sequence's only token, whose queries are rotated on the way.
  __device__ void LoadRotated(const AttentionCall& call, const NewTokens& tokens, int s,
                              int kv_head, int num_rows) {
    constexpr int kHalf = kDim / 2;
    const int row = static_cast<int>(threadIdx.x) % kWarp / 4;
    const int2 seen = call.visible(s, 0);
    for (int r = 0; r < 2; ++r) {
      visible[r] = static_cast<int>(threadIdx.x) % 4 * 2 + r < num_rows ? seen : int2{1, 0};
    }
    const T* q = static_cast<const T*>(call.q.data);
    if (row < num_rows) q += call.offset_of(s, kv_head, row, call.q.row_stride);
    const float* angles = tokens.angles(seen.y);
#pragma unroll
    for (int k = 0; k < kDim / 32; ++k) {
#pragma unroll
      for (int i = 0; i < 2; ++i) {
        const int at = Part::QueryDim(k, i);
        auto low = *reinterpret_cast<const Pack<T, 2>*>(q + at);
        auto high = *reinterpret_cast<const Pack<T, 2>*>(q + at + kHalf);
        const auto cosine = *reinterpret_cast<const float2*>(angles + at);
        const auto sine = *reinterpret_cast<const float2*>(angles + at + kHalf);
        Rotate(Widen(low.at[0]), Widen(high.at[0]), cosine.x, sine.x, low.at[0], high.at[0]);
        Rotate(Widen(low.at[1]), Widen(high.at[1]), cosine.y, sine.y, low.at[1], high.at[1]);
        query[k][i] = row < num_rows ? QueryPair<C>(low.at) : 0;
        query[k + kDim / 32][i] = row < num_rows ? QueryPair<C>(high.at) : 0;
      }
    }
  }

  // Attends to the keys of a tile whose first position is `position`.
  __device__ void Attend(const WarpTile<S, kDim>& tile, int position, float scale_log2) {
    float score[4] = {}, other[4] = {};
#pragma unroll
    for (int i = 0; i < kDim / 32; ++i) {
      uint32_t a[2][4];
      Part::Keys(tile, i, a);
      Mma<C>(score, a[0], query[2 * i]);
      Mma<C>(other, a[1], query[2 * i + 1]);
    }
#pragma unroll
    for (int i = 0; i < 4; ++i) score[i] += other[i];
    Soften(score, position, scale_log2);
    uint32_t weights[2], rest[2];
#pragma unroll
    for (int i = 0; i < 2; ++i) {
      SplitPair<C>(score[2 * i], score[2 * i + 1], weights[i], rest[i]);
      weights[i] = Transposed(weights[i]);
      rest[i] = Transposed(rest[i]);
    }
#pragma unroll
    for (int i = 0; i < kDim / 32; ++i) {
      uint32_t a[2][4];
      Part::Values(tile, i, a);
#pragma unroll
      for (int block = 0; block < 2; ++block) {
        Mma<C>(sum[2 * i + block], a[block], weights);
        Mma<C>(sum[2 * i + block], a[block], rest);
      }
    }
  }

  // Scores of keys g and g + 8 become weights relative to the new maxima; earlier sums are
  // rescaled.
  __device__ void Soften(float (&score)[4], int position, float scale_log2) {
    const int key = position + static_cast<int>(threadIdx.x) % kWarp / 4;
    float shrink[2];
#pragma unroll
    for (int r = 0; r < 2; ++r) {
      float &near = score[r], &far = score[2 + r];
      near = key >= visible[r].x && key <= visible[r].y ? near * scale_log2 : -INFINITY;
      far = key + 8 >= visible[r].x && key + 8 <= visible[r].y ? far * scale_log2 : -INFINITY;
      float new_max = fmaxf(max[r], fmaxf(near, far));
      for (int lanes = 4; lanes < kWarp; lanes *= 2) {
        new_max = fmaxf(new_max, __shfl_xor_sync(kAllLanes, new_max, lanes));
      }
      const float base = new_max == -INFINITY ? 0 : new_max;
      shrink[r] = PowerOfTwo(max[r] - base);
      max[r] = new_max;
      near = PowerOfTwo(near - base);
      far = PowerOfTwo(far - base);
      weight[r] = weight[r] * shrink[r] + near + far;
    }
    if (__all_sync(kAllLanes, shrink[0] == 1 && shrink[1] == 1)) return;
#pragma unroll
    for (int j = 0; j < kDim / 16; ++j) {
#pragma unroll
      for (int i = 0; i < 4; ++i) sum[j][i] *= shrink[i % 2];
    }
  }

  __device__ void Keep(WarpResult<kTransposedRows, kDim>& result, int num_rows) const {
    const int lane = threadIdx.x % kWarp;
    for (int r = 0; r < 2; ++r) {
      const int row = lane % 4 * 2 + r;
      float whole = weight[r];
      for (int lanes = 4; lanes < kWarp; lanes *= 2) {
        whole += __shfl_xor_sync(kAllLanes, whole, lanes);
      }
      if (row >= num_rows) continue;
      result.max[row] = max[r];
      result.weight[row] = whole;
#pragma unroll
      for (int j = 0; j < kDim / 16; ++j) {
        result.sum[row][Part::SumDim(j, 0)] = sum[j][r];
        result.sum[row][Part::SumDim(j, 1)] = sum[j][2 + r];
      }
    }
  }
};

}  // namespace regatta
