// Keys of one sequence and KV head split over the warps of a block and over blocks (Dao et al.,
// Flash-Decoding, 2023): how many splits, and how their results are joined.
#pragma once

#include "kernels/cuda/attention_call.cuh"

namespace regatta {

// Keys that a block of a splitting kernel visits at once.
inline constexpr int kSplitKeys = 64;

// Chooses the number of splits for a kernel of which `slots` blocks run at once, and gives them
// places in `workspace` (float32).
void SplitKeys(int64_t slots, const Tensor& workspace, AttentionCall& call);

// Joins the splits, when there are several.
void CombineSplits(const AttentionCall& call, cudaStream_t stream);

// The results of a block's four warps over their shares of the keys.
template <int kRows, int kDim>
struct WarpResults {
  float sum[4][kRows][kDim + 4];  // rows padded against bank conflicts
  float max[4][kRows];
  float weight[4][kRows];

  // Joins the warps' results of one element of a row: its sum, and the row's maximum and weight.
  __device__ void Join(int row, int column, float& total, float& largest, float& weights) const {
    largest = -INFINITY;
    total = weights = 0;
    for (int w = 0; w < 4; ++w) largest = fmaxf(largest, max[w][row]);
    const float base = largest == -INFINITY ? 0 : largest;
    for (int w = 0; w < 4; ++w) {
      const float factor = exp2f(max[w][row] - base);
      total += factor * sum[w][row][column];
      weights += factor * weight[w][row];
    }
  }

  // Joins them: into the output when there is one split, else into the split's place.
  __device__ void Store(const AttentionCall& call, int s, int kv_head, int split,
                        int num_rows) const {
    const int num_splits = call.partial.num_splits;
    const int64_t place = (int64_t{s} * call.num_kv_heads + kv_head) * num_splits + split;
    const float out_factor = call.out_factor();
    for (int i = threadIdx.x; i < num_rows * kDim; i += blockDim.x) {
      const int row = i / kDim, column = i % kDim;
      float total, largest, weights;
      Join(row, column, total, largest, weights);
      if (num_splits == 1) {
        if (column >= call.head_dim) continue;
        const int64_t to = call.offset_of(s, kv_head, row, call.out.row_stride) + column;
        StoreElement(call.out.data, call.out.dtype, to, total / weights * out_factor);
      } else if (column < call.head_dim) {
        call.partial.sums[(place * kDecodeRows + row) * call.head_dim + column] = total;
        if (column == 0) {
          call.partial.scales[(place * kDecodeRows + row) * 2] = largest;
          call.partial.scales[(place * kDecodeRows + row) * 2 + 1] = weights;
        }
      }
    }
  }
};

}  // namespace regatta
