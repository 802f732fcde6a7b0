// Keys of one sequence and KV head split over the warps of a block and over blocks (Dao et al.,
// Flash-Decoding, 2023): how many splits, and how their results are joined.
#pragma once

#include "kernels/cuda/attention_call.cuh"

namespace regatta {

// Keys that a block of a splitting kernel visits at once.
inline constexpr int kSplitKeys = 64;

// Chooses the number of splits for `blocks` blocks, of which `slots` run at once, and gives those
// of sequences places in `workspace` (float32).
void SplitKeys(int64_t blocks, int64_t slots, const Tensor& workspace, AttentionCall& call);

// Joins the splits, when there are several.
void CombineSplits(const AttentionCall& call, cudaStream_t stream);

// Two neighbouring elements of an output in T or E4M3.
template <typename T>
__device__ void StorePair(const Tensor& out, int64_t at, float low, float high) {
  const auto store = [&]<typename Out>(Out) {
    *reinterpret_cast<Pack<Out, 2>*>(static_cast<Out*>(out.data) +
                                     at) = {{Narrow<Out>(low), Narrow<Out>(high)}};
  };
  if (out.dtype == DType::kFloat8E4M3) {
    store(__nv_fp8_e4m3{});
  } else {
    store(T{});
  }
}

// The results of a warp over its share of the keys.
template <int kRows, int kDim>
struct WarpResult {
  alignas(16) float sum[kRows][kDim + 4];  // rows padded against bank conflicts
  float max[kRows];
  float weight[kRows];
};

// Those of a block's warps, at most four.
template <int kRows, int kDim>
struct WarpResults {
  WarpResult<kRows, kDim> of[4];

  // Four neighbouring elements of a row, and its maximum and weight.
  struct Joined {
    float sum[4] = {};
    float max = -INFINITY, weight = 0;
  };

  __device__ Joined Join(int row, int column) const {
    const int warps = blockDim.x / kWarp;
    Joined joined;
    for (int w = 0; w < warps; ++w) joined.max = fmaxf(joined.max, of[w].max[row]);
    const float base = joined.max == -INFINITY ? 0 : joined.max;
    for (int w = 0; w < warps; ++w) {
      const float factor = exp2f(of[w].max[row] - base);
      const auto four = *reinterpret_cast<const float4*>(&of[w].sum[row][column]);
      joined.sum[0] += factor * four.x;
      joined.sum[1] += factor * four.y;
      joined.sum[2] += factor * four.z;
      joined.sum[3] += factor * four.w;
      joined.weight += factor * of[w].weight[row];
    }
    return joined;
  }

  // Joins them: into the output, in T or E4M3, when there is one split, else into the split's
  // place. `out_factor`: AttentionCall's.
  template <typename T>
  __device__ void Store(const AttentionCall& call, float out_factor, int s, int kv_head, int split,
                        int first_row, int num_rows) const {
    const int num_splits = call.partial.num_splits;
    const int64_t place = (int64_t{s} * call.num_kv_heads + kv_head) * num_splits + split;
    for (int i = threadIdx.x; i < num_rows * kDim / 4; i += blockDim.x) {
      const int row = i / (kDim / 4), column = i % (kDim / 4) * 4;
      if (column >= call.head_dim) continue;
      const Joined joined = Join(row, column);
      if (num_splits == 1) {
        const float factor = out_factor / joined.weight;
        const int64_t to =
            call.offset_of(s, kv_head, first_row + row, call.out.row_stride) + column;
        StorePair<T>(call.out, to, joined.sum[0] * factor, joined.sum[1] * factor);
        StorePair<T>(call.out, to + 2, joined.sum[2] * factor, joined.sum[3] * factor);
        continue;
      }
      const int64_t to = place * kDecodeRows + row;
#pragma unroll
      for (int j = 0; j < 4; ++j) {
        call.partial.sums[to * call.head_dim + column + j] = joined.sum[j];
      }
      if (column == 0) {
        call.partial.scales[to * 2] = joined.max;
        call.partial.scales[to * 2 + 1] = joined.weight;
      }
    }
  }
};

}  // namespace regatta
