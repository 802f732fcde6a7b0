// Paged causal attention: the entry, and the plain kernel for every dtype and head size.
#include <bit>

#include "kernels/cuda/attention_call.cuh"
#include "kernels/cuda/cuda_backend.h"

namespace regatta {
namespace {

constexpr int kMaxHeadDim = 256;
constexpr int kPerLane = kMaxHeadDim / kWarp;
constexpr int kRowsPerBlock = 4;  // one warp each

// A warp per (token, head): keys one by one, softmax as a stream (Milakov & Gimelshein 2018).
__global__ void PlainKernel(const __grid_constant__ AttentionCall call) {
  const int s = blockIdx.z, kv_head = blockIdx.y, lane = threadIdx.x % kWarp;
  const int row = blockIdx.x * kRowsPerBlock + threadIdx.x / kWarp;
  if (row >= call.rows_of(s)) return;
  const int dim = call.head_dim;
  float query[kPerLane] = {}, sum[kPerLane] = {};
  const int64_t from = call.offset_of(s, kv_head, row, call.q.row_stride);
#pragma unroll
  for (int j = 0; j < kPerLane; ++j) {
    const int i = lane + j * kWarp;
    if (i < dim) query[j] = LoadElement(call.q.data, call.q.dtype, from + i) * call.scale;
  }
  float max = -INFINITY, weights = 0;
  const int2 visible = call.visible(s, row);
  for (int position = visible.x; position <= visible.y; ++position) {
    const int block = call.block_of(s, position);
    const int64_t key = call.cached(call.cache.k, block, kv_head, position);
    const int64_t value = call.cached(call.cache.v, block, kv_head, position);
    float score = 0;
#pragma unroll
    for (int j = 0; j < kPerLane; ++j) {
      const int i = lane + j * kWarp;
      if (i < dim) {
        score += query[j] * LoadElement(call.cache.k.data, call.cache.k.dtype, key + i);
      }
    }
    score = WarpSum(score);
    const float new_max = fmaxf(max, score);
    const float shrink = expf(max - new_max), weight = expf(score - new_max);
    max = new_max;
    weights = weights * shrink + weight;
#pragma unroll
    for (int j = 0; j < kPerLane; ++j) {
      const int i = lane + j * kWarp;
      if (i < dim) {
        sum[j] = sum[j] * shrink +
                 weight * LoadElement(call.cache.v.data, call.cache.v.dtype, value + i);
      }
    }
  }
  const float factor = call.out_factor() / weights;
  const int64_t to = call.offset_of(s, kv_head, row, call.out.row_stride);
#pragma unroll
  for (int j = 0; j < kPerLane; ++j) {
    const int i = lane + j * kWarp;
    if (i < dim) StoreElement(call.out.data, call.out.dtype, to + i, sum[j] * factor);
  }
}

}  // namespace

void LaunchPlainAttention(const AttentionCall& call, cudaStream_t stream) {
  const int rows = call.batch.max_query_length * call.group;
  const dim3 grid(CeilDiv(rows, kRowsPerBlock), call.num_kv_heads, call.batch.num_sequences);
  PlainKernel<<<grid, kRowsPerBlock * kWarp, 0, stream>>>(call);
}

AttentionCall CudaOps::CallOf(const Tensor& q, const AttentionBatch& batch,
                              const AttentionParams& params, const KvLayer& cache,
                              const Activation& activation) const {
  const Tensor& out = activation.values;
  CheckForm(activation);
  CHECK(!activation.quantized() || activation.is_static());
  CHECK_LE(params.head_dim, kMaxHeadDim);
  CHECK_EQ(params.num_heads % params.num_kv_heads, 0);
  CHECK_EQ(q.dim(0), batch.num_tokens);
  CHECK_EQ(q.dim(1), int64_t{params.num_heads} * params.head_dim);
  CHECK_EQ(out.dim(0), batch.num_tokens);
  CHECK_EQ(out.dim(1), q.dim(1));
  for (const Tensor* side : {&cache.k, &cache.v}) {
    CHECK_EQ(side->dim(2), params.num_kv_heads);
    CHECK_EQ(side->dim(3), params.head_dim);
  }
  const auto block_size = static_cast<unsigned>(cache.k.dim(1));
  CHECK_EQ(cache.v.dim(1), cache.k.dim(1));
  const int group = params.num_heads / params.num_kv_heads;
  return {q,
          out,
          activation.scale.as<const float>(),
          batch,
          cache,
          params.num_heads,
          params.num_kv_heads,
          params.head_dim,
          params.sliding_window,
          params.scale * cache.k_scale,
          group,
          group == 1 ? 0 : static_cast<uint32_t>(((uint64_t{1} << 32) - 1) / group + 1),
          static_cast<int>(block_size),
          std::has_single_bit(block_size) ? std::countr_zero(block_size) : -1,
          deterministic_ ? 0 : kDecodeRows,
          {}};
}

Tensor CudaOps::AttentionWorkspace() const {
  return Tensor::Of(attention_workspace_.data(), DType::kFloat32,
                    static_cast<int64_t>(attention_workspace_.num_bytes() / sizeof(float)));
}

void CudaOps::PagedAttention(const Tensor& q, const AttentionBatch& batch,
                             const AttentionParams& params, const KvLayer& cache,
                             const Activation& out) {
  const AttentionCall call = CallOf(q, batch, params, cache, out);
  if (batch.num_tokens == 0) return;
  if (!LaunchTiledAttention(call, num_multiprocessors_, AttentionWorkspace(), stream_)) {
    LaunchPlainAttention(call, stream_);
  }
  Launched("PagedAttention");
}

// Where all decode, in one launch.
void CudaOps::Attention(const Tensor& q, const Tensor& k, const Tensor& v,
                        const AttentionBatch& batch, const AttentionParams& params,
                        const KvLayer& cache, const Activation& out) {
  CheckNewTokens(q, k, v, batch, params, cache);
  const bool norms = params.q_norm.data != nullptr || params.k_norm.data != nullptr;
  const NewTokens tokens = {.k = k,
                            .v = v,
                            .rope = params.rope,
                            .kv_slot = batch.kv_slot,
                            .k_factor = 1.0f / cache.k_scale,
                            .v_factor = 1.0f / cache.v_scale};
  if (norms || batch.num_tokens == 0 ||
      !LaunchRotatedDecoding(CallOf(q, batch, params, cache, out), tokens, num_multiprocessors_,
                             AttentionWorkspace(), stream_)) {
    return Ops::Attention(q, k, v, batch, params, cache, out);
  }
  Launched("Attention");
}

}  // namespace regatta
