// Choosing and joining splits of keys; see attention_splits.cuh.
#include <algorithm>

#include "kernels/cuda/attention_splits.cuh"
#include "kernels/cuda/dependent_launch.cuh"

namespace regatta {
namespace {

// One block per sequence and KV head.
__global__ void CombineSplitsKernel(const __grid_constant__ AttentionCall call) {
  const float out_factor = call.out_factor();
  FollowPrevious();
  const int s = blockIdx.y, kv_head = blockIdx.x, dim = call.head_dim;
  const int num_rows = call.rows_of(s);
  const int num_splits = call.partial.num_splits;
  if (num_rows > call.decode_rows) return;
  const int64_t first = (int64_t{s} * call.num_kv_heads + kv_head) * num_splits;
  for (int i = threadIdx.x; i < num_rows * dim; i += blockDim.x) {
    const int row = i / dim, column = i % dim;
    const float* scales = call.partial.scales + (first * kDecodeRows + row) * 2;
    const float* sums = call.partial.sums + (first * kDecodeRows + row) * dim + column;
    float max = -INFINITY, sum = 0, weight = 0;
    for (int j = 0; j < num_splits; ++j) max = fmaxf(max, scales[j * kDecodeRows * 2]);
    for (int j = 0; j < num_splits; ++j) {
      const float factor = exp2f(scales[j * kDecodeRows * 2] - max);
      sum += factor * sums[int64_t{j} * kDecodeRows * dim];
      weight += factor * scales[j * kDecodeRows * 2 + 1];
    }
    const int64_t to = call.offset_of(s, kv_head, row, call.out.row_stride) + column;
    StoreElement(call.out.data, call.out.dtype, to, sum / weight * out_factor);
  }
}

// Splits that need the fewest rounds of tiles in all slots. A split costs its start and its part in
// the combination, as much as kStartTiles tiles, and has two tiles at least.
int SplitsFor(const AttentionCall& call, int64_t blocks, int64_t slots, int64_t capacity) {
  constexpr int64_t kStartTiles = 2;
  const int64_t tiles = CeilDiv(call.batch.max_context_length, kSplitKeys);
  const int64_t held = capacity / (blocks * kDecodeRows * (call.head_dim + 2));
  const int64_t most = std::min({(tiles + 1) / 2, held, slots});
  int64_t best = 1, best_cost = INT64_MAX;
  for (int64_t splits = 1; splits <= most; ++splits) {
    const int64_t rounds = (blocks * splits + slots - 1) / slots;
    const int64_t cost = rounds * (CeilDiv(tiles, splits) + kStartTiles);
    if (cost < best_cost) {
      best = splits;
      best_cost = cost;
    }
  }
  return static_cast<int>(best);
}

}  // namespace

void SplitKeys(int64_t blocks, int64_t slots, const Tensor& workspace, AttentionCall& call) {
  PartialAttention& partial = call.partial;
  partial.num_splits = SplitsFor(call, blocks, slots, workspace.num_elements());
  partial.sums = workspace.as<float>();
  partial.scales = partial.sums + int64_t{call.batch.num_sequences} * call.num_kv_heads *
                                      partial.num_splits * kDecodeRows * call.head_dim;
}

void CombineSplits(const AttentionCall& call, cudaStream_t stream) {
  if (call.partial.num_splits == 1) return;
  const dim3 pairs(call.num_kv_heads, call.batch.num_sequences);
  LaunchEarly<&CombineSplitsKernel>({.grid = pairs, .block = 256}, stream, call);
}

}  // namespace regatta
