// Per-head norms, rotary embedding (Su et al. 2021; the two halves of a head are the rotated pairs)
// and the write to the paged cache, in one launch.
#include "kernels/cuda/cuda_backend.h"
#include "kernels/cuda/dependent_launch.cuh"
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

// Element offset of a slot's head in the cache. Slots are below 2^32 (CheckCache), as 64-bit
// division is slow.
__device__ int64_t PlaceOf(const Tensor& cache, int64_t slot, int head) {
  const auto block_size = static_cast<uint32_t>(cache.shape[1]);
  const auto place = static_cast<uint32_t>(slot);
  const int64_t row = place % block_size * cache.shape[2] + head;
  return place / block_size * cache.row_stride + row * cache.shape[3];
}

// A lane holds kSize neighbouring pairs of one head at a time: norm, rotation, and the rounded head
// back in place.
template <typename T, int kSize>
__device__ void RotateHead(T* head, const Tensor& norm, float eps, const float* angles, int dim) {
  using P = Pack<T, kSize>;
  using A = Pack<float, kSize>;
  const int lane = threadIdx.x % kWarp;
  const int half = dim / 2;
  float inverse_rms = 1;
  if (norm.data != nullptr) {
    float squares = 0;
    for (int i = lane; i < dim; i += kWarp) squares += Widen(head[i]) * Widen(head[i]);
    inverse_rms = rsqrtf(WarpSum(squares) / static_cast<float>(dim) + eps);
  }
  const T* scale = static_cast<const T*>(norm.data);
  for (int i = lane * kSize; i < half; i += kWarp * kSize) {
    P low = *reinterpret_cast<const P*>(head + i);
    P high = *reinterpret_cast<const P*>(head + i + half);
    const A cosine = *reinterpret_cast<const A*>(angles + i);
    const A sine = *reinterpret_cast<const A*>(angles + i + half);
#pragma unroll
    for (int j = 0; j < kSize; ++j) {
      float x = Widen(low.at[j]), y = Widen(high.at[j]);
      if (scale != nullptr) {
        x *= inverse_rms * Widen(scale[i + j]);
        y *= inverse_rms * Widen(scale[i + j + half]);
      }
      low.at[j] = Narrow<T>(x * cosine.at[j] - y * sine.at[j]);
      high.at[j] = Narrow<T>(y * cosine.at[j] + x * sine.at[j]);
    }
    *reinterpret_cast<P*>(head + i) = low;
    *reinterpret_cast<P*>(head + i + half) = high;
  }
  __syncwarp();
}

template <typename C, int kSize, typename T>
__device__ void CopyHead(const T* head, void* cache, int64_t place, int dim, float factor) {
  C* to = static_cast<C*>(cache) + place;
  for (int i = threadIdx.x % kWarp * kSize; i < dim; i += kWarp * kSize) {
    const auto from = *reinterpret_cast<const Pack<T, kSize>*>(head + i);
    Pack<C, kSize> pack;
#pragma unroll
    for (int j = 0; j < kSize; ++j) pack.at[j] = Narrow<C>(Widen(from.at[j]) * factor);
    *reinterpret_cast<Pack<C, kSize>*>(to + i) = pack;
  }
}

template <int kSize, typename T>
__device__ void StoreHead(const T* head, const Tensor& cache, int64_t place, int dim, float scale) {
  const float factor = 1.0f / scale;
  switch (cache.dtype) {
    case DType::kBFloat16:
      return CopyHead<__nv_bfloat16, kSize>(head, cache.data, place, dim, factor);
    case DType::kFloat16:
      return CopyHead<__half, kSize>(head, cache.data, place, dim, factor);
    case DType::kFloat8E4M3:
      return CopyHead<__nv_fp8_e4m3, kSize>(head, cache.data, place, dim, factor);
    default:
      return CopyHead<float, kSize>(head, cache.data, place, dim, factor);
  }
}

// A warp per (token, head) of q, then k, then v. A token with a negative slot is not cached.
template <typename T, int kSize>
__global__ void RopeKernel(const __grid_constant__ RopeCall call) {
  LetNextBegin();
  const int token = blockIdx.x;
  const int dim = call.params.head_dim;
  const int num_heads = call.params.num_heads;
  const int num_kv_heads = call.params.num_kv_heads;
  int head = blockIdx.y * kHeadsPerBlock + threadIdx.x / kWarp;
  if (head >= num_heads + 2 * num_kv_heads) return AwaitPrevious();
  const float* angles = static_cast<const float*>(call.params.rope.data) +
                        call.positions[token] * call.params.rope.row_stride;
  const float eps = call.params.norm_eps;
  const int64_t slot = call.kv_slot[token];
  AwaitPrevious();
  if (head < num_heads) {
    T* q = static_cast<T*>(call.q.data) + token * call.q.row_stride + head * dim;
    RotateHead<T, kSize>(q, call.params.q_norm, eps, angles, dim);
    return;
  }
  head -= num_heads;
  if (head < num_kv_heads) {
    T* k = static_cast<T*>(call.k.data) + token * call.k.row_stride + head * dim;
    RotateHead<T, kSize>(k, call.params.k_norm, eps, angles, dim);
    if (slot < 0) return;
    StoreHead<kSize>(k, call.cache.k, PlaceOf(call.cache.k, slot, head), dim, call.cache.k_scale);
    return;
  }
  head -= num_kv_heads;
  const T* v = static_cast<const T*>(call.v.data) + token * call.v.row_stride + head * dim;
  if (slot < 0) return;
  StoreHead<kSize>(v, call.cache.v, PlaceOf(call.cache.v, slot, head), dim, call.cache.v_scale);
}

// Whether heads may be read two elements at a time, halves of heads too.
bool PairsOfHeads(const RopeCall& call) {
  const auto even = [](const Tensor& x) {
    return reinterpret_cast<uintptr_t>(x.data) % (2 * SizeOf(x.dtype)) == 0 &&
           x.row_stride % 2 == 0;
  };
  return call.params.head_dim % 4 == 0 && even(call.q) && even(call.k) && even(call.v) &&
         even(call.cache.k) && even(call.cache.v) && even(call.params.rope);
}

void CheckCache(const Tensor& cache, const AttentionParams& params) {
  CHECK_EQ(cache.rank, 4);
  CHECK_EQ(cache.dim(2), params.num_kv_heads);
  CHECK_EQ(cache.dim(3), params.head_dim);
  CHECK_LE(cache.dim(0) * cache.dim(1), int64_t{1} << 32);
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
  const LaunchShape shape = {
      .grid = dim3(batch.num_tokens,
                   CeilDiv(params.num_heads + 2 * params.num_kv_heads, kHeadsPerBlock)),
      .block = dim3(kHeadsPerBlock * kWarp)};
  DispatchDevice(q.dtype, [&](auto zero) {
    if (PairsOfHeads(call)) {
      LaunchEarly<&RopeKernel<decltype(zero), 2>>(shape, stream_, call);
    } else {
      LaunchEarly<&RopeKernel<decltype(zero), 1>>(shape, stream_, call);
    }
  });
  Launched("RopeAndCache");
}

}  // namespace regatta
