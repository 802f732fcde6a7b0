// Per-head norms, rotary embedding (Su et al. 2021; the two halves of a head are the rotated pairs)
// and the write to the paged cache.
#include <cmath>

#include "kernels/cpu/convert.h"
#include "kernels/cpu/cpu_ops.h"
#include "kernels/cpu/vector_math.h"

namespace regatta {
namespace {

// head = head / rms(head) * weight.
void NormHead(const Tensor& weight, float eps, int dim, float* head) {
  float scale[kMaxHeadDim];
  Widen(weight.data, weight.dtype, dim, scale);
  const float squares = FixedOrderSum(dim, [&](int64_t i) { return head[i] * head[i]; });
  const float inverse_rms = 1.0f / std::sqrt(squares / static_cast<float>(dim) + eps);
  for (int i = 0; i < dim; ++i) head[i] = head[i] * inverse_rms * scale[i];
}

// `angles` holds cos of dim/2 frequencies, then sin.
void RotateHead(const float* angles, int dim, float* head) {
  const int half = dim / 2;
  for (int i = 0; i < half; ++i) {
    const float low = head[i];
    const float high = head[i + half];
    head[i] = low * angles[i] - high * angles[i + half];
    head[i + half] = high * angles[i] + low * angles[i + half];
  }
}

// Norms and rotates the heads of one token's row in place.
void RotateRow(const Tensor& x, int64_t token, int num_heads, const Tensor& norm,
               const AttentionParams& params, const float* angles) {
  const int dim = params.head_dim;
  for (int h = 0; h < num_heads; ++h) {
    void* place = ElementOf(x, token * x.row_stride + int64_t{h} * dim);
    float head[kMaxHeadDim];
    Widen(place, x.dtype, dim, head);
    if (norm) NormHead(norm, params.norm_eps, dim, head);
    RotateHead(angles, dim, head);
    Narrow(head, dim, x.dtype, place);
  }
}

// Copies one token's row of all KV heads, divided by `scale`, to its slot in the cache's dtype.
void CacheRow(const Tensor& x, int64_t token, int64_t slot, const AttentionParams& params,
              const Tensor& cache, float scale) {
  const float inverse = 1.0f / scale;
  const int64_t block_size = cache.dim(1);
  const int dim = params.head_dim;
  const int64_t place =
      slot / block_size * cache.row_stride + slot % block_size * params.num_kv_heads * dim;
  for (int g = 0; g < params.num_kv_heads; ++g) {
    float head[kMaxHeadDim];
    Widen(ElementOf(x, token * x.row_stride + int64_t{g} * dim), x.dtype, dim, head);
    for (int i = 0; i < dim; ++i) head[i] *= inverse;
    Narrow(head, dim, cache.dtype, ElementOf(cache, place + int64_t{g} * dim));
  }
}

void CheckCache(const Tensor& cache, const AttentionParams& params) {
  CHECK_EQ(cache.rank, 4);
  CHECK_EQ(cache.dim(2), params.num_kv_heads);
  CHECK_EQ(cache.dim(3), params.head_dim);
}

}  // namespace

void CpuOps::RopeAndCache(const Tensor& q, const Tensor& k, const Tensor& v,
                          const AttentionBatch& batch, const AttentionParams& params,
                          const KvLayer& cache) {
  const int dim = params.head_dim;
  CHECK_LE(dim, kMaxHeadDim);
  CHECK_EQ(dim % 2, 0);
  CHECK_EQ(q.dim(0), batch.num_tokens);
  CHECK_EQ(q.dim(1), int64_t{params.num_heads} * dim);
  CHECK_EQ(k.dim(1), int64_t{params.num_kv_heads} * dim);
  CHECK_EQ(v.dim(1), int64_t{params.num_kv_heads} * dim);
  CHECK_EQ(params.rope.dim(1), dim);
  CheckCache(cache.k, params);
  CheckCache(cache.v, params);
  const int64_t num_slots = cache.k.dim(0) * cache.k.dim(1);
  ForEachRow(batch.num_tokens, 2 * (q.dim(1) + 2 * k.dim(1)), [&](int64_t t) {
    const int32_t position = batch.positions[t];
    const int64_t slot = batch.kv_slot[t];
    CheckIndex("position", position, params.rope.dim(0));
    CheckIndex("slot", slot, num_slots);
    const float* angles = params.rope.as<float>() + position * params.rope.row_stride;
    RotateRow(q, t, params.num_heads, params.q_norm, params, angles);
    RotateRow(k, t, params.num_kv_heads, params.k_norm, params, angles);
    CacheRow(k, t, slot, params, cache.k, cache.k_scale);
    CacheRow(v, t, slot, params, cache.v, cache.v_scale);
  });
}

}  // namespace regatta
