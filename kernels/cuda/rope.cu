// Per-head norms, rotary embedding (Su et al. 2021; the two halves of a head are the rotated pairs)
// and the write to the paged cache, in one launch.
#include "kernels/cuda/cuda_backend.h"
#include "kernels/cuda/dependent_launch.cuh"
#include "kernels/cuda/element.cuh"
#include "kernels/cuda/rotation.cuh"

namespace regatta {
namespace {

constexpr int kMaxHeadDim = 256;
constexpr int kWarpsPerBlock = 4;

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

// The lanes of a warp that share a head, each with kSize neighbouring pairs at a time.
template <int kSize>
struct HeadLanes {
  static constexpr int kLanes = kSize == 8 ? 8 : kWarp;
  static constexpr int kHeads = kWarp / kLanes;  // of a warp

  static __device__ int lane() { return static_cast<int>(threadIdx.x) % kLanes; }
  static __device__ int head() { return static_cast<int>(threadIdx.x) / kLanes; }  // of the block
  // Those that share this lane's head.
  static __device__ unsigned mask() {
    return kAllLanes >> (kWarp - kLanes) << (threadIdx.x % kWarp / kLanes * kLanes);
  }
  static __device__ float Sum(float x) {
    for (int offset = kLanes / 2; offset > 0; offset /= 2) {
      x += __shfl_xor_sync(mask(), x, offset);
    }
    return x;
  }
};

// Norm, rotation, and the rounded head back in place; keep(i, pack) is told each pack as well.
template <typename T, int kSize, typename Keep>
__device__ void RotateHead(T* head, const Tensor& norm, float eps, const float* angles, int dim,
                           const Keep& keep) {
  using P = Pack<T, kSize>;
  using A = Pack<float, kSize>;
  using Lanes = HeadLanes<kSize>;
  const int half = dim / 2;
  float inverse_rms = 1;
  if (norm.data != nullptr) {
    float squares = 0;
    for (int i = Lanes::lane(); i < dim; i += Lanes::kLanes) {
      squares += Widen(head[i]) * Widen(head[i]);
    }
    inverse_rms = rsqrtf(Lanes::Sum(squares) / static_cast<float>(dim) + eps);
  }
  const T* scale = static_cast<const T*>(norm.data);
  for (int i = Lanes::lane() * kSize; i < half; i += Lanes::kLanes * kSize) {
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
      Rotate(x, y, cosine.at[j], sine.at[j], low.at[j], high.at[j]);
    }
    *reinterpret_cast<P*>(head + i) = low;
    *reinterpret_cast<P*>(head + i + half) = high;
    keep(i, low);
    keep(i + half, high);
  }
}

template <typename C, typename P, int kSize>
__device__ void StoreAs(void* cache, int64_t place, const P& from, float factor) {
  Pack<C, kSize> pack;
#pragma unroll
  for (int j = 0; j < kSize; ++j) pack.at[j] = Narrow<C>(Widen(from.at[j]) * factor);
  *reinterpret_cast<Pack<C, kSize>*>(static_cast<C*>(cache) + place) = pack;
}

template <typename T, int kSize>
__device__ void StorePack(const Pack<T, kSize>& from, const Tensor& cache, int64_t place,
                          float factor) {
  using P = Pack<T, kSize>;
  switch (cache.dtype) {
    case DType::kBFloat16:
      return StoreAs<__nv_bfloat16, P, kSize>(cache.data, place, from, factor);
    case DType::kFloat16:
      return StoreAs<__half, P, kSize>(cache.data, place, from, factor);
    case DType::kFloat8E4M3:
      return StoreAs<__nv_fp8_e4m3, P, kSize>(cache.data, place, from, factor);
    default:
      return StoreAs<float, P, kSize>(cache.data, place, from, factor);
  }
}

// A warp, or a part of one, per (token, head) of q, then k, then v. A token with a negative slot is
// not cached.
template <typename T, int kSize>
__global__ void RopeKernel(const __grid_constant__ RopeCall call) {
  using P = Pack<T, kSize>;
  using Lanes = HeadLanes<kSize>;
  LetNextBegin();
  const int token = blockIdx.x;
  const int dim = call.params.head_dim;
  const int num_heads = call.params.num_heads;
  const int num_kv_heads = call.params.num_kv_heads;
  int head = blockIdx.y * kWarpsPerBlock * Lanes::kHeads + Lanes::head();
  if (head >= num_heads + 2 * num_kv_heads) return AwaitPrevious();
  const float* angles = static_cast<const float*>(call.params.rope.data) +
                        call.positions[token] * call.params.rope.row_stride;
  const float eps = call.params.norm_eps;
  const int64_t slot = call.kv_slot[token];
  AwaitPrevious();
  if (head < num_heads) {
    T* q = static_cast<T*>(call.q.data) + token * call.q.row_stride + head * dim;
    RotateHead<T, kSize>(q, call.params.q_norm, eps, angles, dim, [](int, const P&) {});
    return;
  }
  head -= num_heads;
  const bool is_key = head < num_kv_heads;
  if (!is_key) head -= num_kv_heads;
  const Tensor& cache = is_key ? call.cache.k : call.cache.v;
  const int64_t place = slot < 0 ? 0 : PlaceOf(cache, slot, head);
  const float factor = 1.0f / (is_key ? call.cache.k_scale : call.cache.v_scale);
  const auto keep = [&](int i, const P& pack) {
    if (slot >= 0) StorePack<T, kSize>(pack, cache, place + i, factor);
  };
  if (is_key) {
    T* k = static_cast<T*>(call.k.data) + token * call.k.row_stride + head * dim;
    return RotateHead<T, kSize>(k, call.params.k_norm, eps, angles, dim, keep);
  }
  const T* v = static_cast<const T*>(call.v.data) + token * call.v.row_stride + head * dim;
  for (int i = Lanes::lane() * kSize; i < dim; i += Lanes::kLanes * kSize) {
    keep(i, *reinterpret_cast<const P*>(v + i));
  }
}

template <typename T, int kSize>
void Launch(const RopeCall& call, int tokens, cudaStream_t stream) {
  const int heads = call.params.num_heads + 2 * call.params.num_kv_heads;
  const dim3 grid(tokens, CeilDiv(heads, kWarpsPerBlock * HeadLanes<kSize>::kHeads));
  LaunchEarly<&RopeKernel<T, kSize>>({.grid = grid, .block = dim3(kWarpsPerBlock * kWarp)}, stream,
                                     call);
}

// Whether halves of heads may be read and written `count` elements at a time.
bool HalvesAligned(const RopeCall& call, int count) {
  const auto aligned = [count](const Tensor& x) {
    return reinterpret_cast<uintptr_t>(x.data) % (count * SizeOf(x.dtype)) == 0 &&
           x.row_stride % count == 0;
  };
  return call.params.head_dim % (2 * count) == 0 && aligned(call.q) && aligned(call.k) &&
         aligned(call.v) && aligned(call.cache.k) && aligned(call.cache.v) &&
         aligned(call.params.rope);
}

void CheckCache(const Tensor& cache, const AttentionParams& params) {
  CHECK_EQ(cache.rank, 4);
  CHECK_EQ(cache.dim(2), params.num_kv_heads);
  CHECK_EQ(cache.dim(3), params.head_dim);
  CHECK_LE(cache.dim(0) * cache.dim(1), int64_t{1} << 32);
}

}  // namespace

void CudaOps::CheckNewTokens(const Tensor& q, const Tensor& k, const Tensor& v,
                             const AttentionBatch& batch, const AttentionParams& params,
                             const KvLayer& cache) {
  const int dim = params.head_dim;
  CHECK_LE(dim, kMaxHeadDim);
  CHECK_EQ(dim % 2, 0);
  CHECK_EQ(q.dim(0), batch.num_tokens);
  CHECK_EQ(q.dim(1), int64_t{params.num_heads} * dim);
  for (const Tensor* side : {&k, &v}) {
    CHECK_EQ(side->dim(1), int64_t{params.num_kv_heads} * dim);
    CHECK(side->dtype == q.dtype) << DTypeName(side->dtype) << " beside " << DTypeName(q.dtype);
  }
  CHECK_EQ(params.rope.dim(1), dim);
  CheckCache(cache.k, params);
  CheckCache(cache.v, params);
}

void CudaOps::RopeAndCache(const Tensor& q, const Tensor& k, const Tensor& v,
                           const AttentionBatch& batch, const AttentionParams& params,
                           const KvLayer& cache) {
  CheckNewTokens(q, k, v, batch, params, cache);
  if (batch.num_tokens == 0) return;
  const RopeCall call{q, k, v, batch.positions, batch.kv_slot, params, cache};
  DispatchDevice(q.dtype, [&](auto zero) {
    using T = decltype(zero);
    if (sizeof(T) == 2 && HalvesAligned(call, 8)) {
      Launch<T, 8>(call, batch.num_tokens, stream_);
    } else if (HalvesAligned(call, 2)) {
      Launch<T, 2>(call, batch.num_tokens, stream_);
    } else {
      Launch<T, 1>(call, batch.num_tokens, stream_);
    }
  });
  Launched("RopeAndCache");
}

}  // namespace regatta
