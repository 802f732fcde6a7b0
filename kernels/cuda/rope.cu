// Per-head norms, rotary embedding (Su et al. 2021; the two halves of a head are the rotated pairs)
// and the write to the paged cache, in one launch.
#include "kernels/cuda/cuda_backend.h"
#include "kernels/cuda/element.cuh"

namespace regatta {
namespace {

constexpr int kMaxHeadDim = 256;
constexpr int kHeadsPerBlock = 4;  // one warp each

struct RopeCall {
  Tensor q, k, v;
  const int32_t* positions;
  const int64_t* kv_slot;
  AttentionParams params;
  KvLayer cache;
};

// Element offset of a slot's head in the cache.
__device__ int64_t PlaceOf(const Tensor& cache, int64_t slot, int head) {
  const int64_t block_size = cache.shape[1];
  return slot / block_size * cache.row_stride +
         (slot % block_size * cache.shape[2] + head) * cache.shape[3];
}

// Lane l holds pairs l, l + 32, ... of one head: norm, rotation, and the rounded head back in
// place.
template <typename T>
__device__ void RotateHead(T* head, const Tensor& norm, float eps, const float* angles, int dim) {
  const int lane = threadIdx.x % kWarp;
  const int half = dim / 2;
  float inverse_rms = 1;
  if (norm.data != nullptr) {
    float squares = 0;
    for (int i = lane; i < dim; i += kWarp) squares += Widen(head[i]) * Widen(head[i]);
    inverse_rms = rsqrtf(WarpSum(squares) / static_cast<float>(dim) + eps);
  }
  const T* scale = static_cast<const T*>(norm.data);
  for (int i = lane; i < half; i += kWarp) {
    float low = Widen(head[i]);
    float high = Widen(head[i + half]);
    if (scale != nullptr) {
      low *= inverse_rms * Widen(scale[i]);
      high *= inverse_rms * Widen(scale[i + half]);
    }
    head[i] = Narrow<T>(low * angles[i] - high * angles[i + half]);
    head[i + half] = Narrow<T>(high * angles[i] + low * angles[i + half]);
  }
  __syncwarp();
}

template <typename T>
__device__ void StoreHead(const T* head, const Tensor& cache, int64_t place, int dim, float scale) {
  const float inverse = 1.0f / scale;
  for (int i = threadIdx.x % kWarp; i < dim; i += kWarp) {
    StoreElement(cache.data, cache.dtype, place + i, Widen(head[i]) * inverse);
  }
}

// A warp per (token, head) of q, then k, then v. A token with a negative slot is not cached.
template <typename T>
__global__ void RopeKernel(const __grid_constant__ RopeCall call) {
  const int token = blockIdx.x;
  const int dim = call.params.head_dim;
  const int num_heads = call.params.num_heads;
  const int num_kv_heads = call.params.num_kv_heads;
  int head = blockIdx.y * kHeadsPerBlock + threadIdx.x / kWarp;
  if (head >= num_heads + 2 * num_kv_heads) return;
  const float* angles = static_cast<const float*>(call.params.rope.data) +
                        call.positions[token] * call.params.rope.row_stride;
  const float eps = call.params.norm_eps;
  if (head < num_heads) {
    T* q = static_cast<T*>(call.q.data) + token * call.q.row_stride + head * dim;
    RotateHead(q, call.params.q_norm, eps, angles, dim);
    return;
  }
  head -= num_heads;
  const int64_t slot = call.kv_slot[token];
  if (head < num_kv_heads) {
    T* k = static_cast<T*>(call.k.data) + token * call.k.row_stride + head * dim;
    RotateHead(k, call.params.k_norm, eps, angles, dim);
    if (slot < 0) return;
    StoreHead(k, call.cache.k, PlaceOf(call.cache.k, slot, head), dim, call.cache.k_scale);
    return;
  }
  head -= num_kv_heads;
  const T* v = static_cast<const T*>(call.v.data) + token * call.v.row_stride + head * dim;
  if (slot < 0) return;
  StoreHead(v, call.cache.v, PlaceOf(call.cache.v, slot, head), dim, call.cache.v_scale);
}

void CheckCache(const Tensor& cache, const AttentionParams& params) {
  CHECK_EQ(cache.rank, 4);
  CHECK_EQ(cache.dim(2), params.num_kv_heads);
  CHECK_EQ(cache.dim(3), params.head_dim);
}

}  // namespace

void CudaOps::RopeAndCache(const Tensor& q, const Tensor& k, const Tensor& v,
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
  if (batch.num_tokens == 0) return;
  const RopeCall call{q, k, v, batch.positions, batch.kv_slot, params, cache};
  const dim3 grid(batch.num_tokens,
                  CeilDiv(params.num_heads + 2 * params.num_kv_heads, kHeadsPerBlock));
  DispatchDevice(q.dtype, [&](auto zero) {
    RopeKernel<decltype(zero)><<<grid, kHeadsPerBlock * kWarp, 0, stream_>>>(call);
  });
  Launched("RopeAndCache");
}

}  // namespace regatta
