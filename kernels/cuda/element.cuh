// Elements of activations in kernels: widening, narrowing, vectors of 16 bytes, sums over warps and
// blocks.
#pragma once

#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_fp8.h>

#include <cstdint>

#include "kernels/tensor.h"

namespace regatta {

constexpr int kWarp = 32;
constexpr unsigned kAllLanes = 0xffffffffu;

__device__ inline float Widen(float x) { return x; }
__device__ inline float Widen(__nv_bfloat16 x) { return __bfloat162float(x); }
__device__ inline float Widen(__half x) { return __half2float(x); }

template <typename T>
__device__ T Narrow(float x);
template <>
__device__ inline float Narrow<float>(float x) {
  return x;
}
template <>
__device__ inline __nv_bfloat16 Narrow<__nv_bfloat16>(float x) {
  return __float2bfloat16_rn(x);
}
template <>
__device__ inline __half Narrow<__half>(float x) {
  return __float2half_rn(x);
}

// Saturates at 448, as on the CPU.
template <>
__device__ inline __nv_fp8_e4m3 Narrow<__nv_fp8_e4m3>(float x) {
  return __nv_fp8_e4m3(x);
}

// One element of an array whose dtype is known at run time only.
__device__ inline float LoadElement(const void* array, DType dtype, int64_t i) {
  switch (dtype) {
    case DType::kBFloat16:
      return Widen(static_cast<const __nv_bfloat16*>(array)[i]);
    case DType::kFloat16:
      return Widen(static_cast<const __half*>(array)[i]);
    case DType::kFloat8E4M3:
      return static_cast<float>(static_cast<const __nv_fp8_e4m3*>(array)[i]);
    default:
      return static_cast<const float*>(array)[i];
  }
}

// float8 saturates at 448, as on the CPU.
__device__ inline void StoreElement(void* array, DType dtype, int64_t i, float value) {
  switch (dtype) {
    case DType::kBFloat16:
      static_cast<__nv_bfloat16*>(array)[i] = Narrow<__nv_bfloat16>(value);
      return;
    case DType::kFloat16:
      static_cast<__half*>(array)[i] = Narrow<__half>(value);
      return;
    case DType::kFloat8E4M3:
      static_cast<__nv_fp8_e4m3*>(array)[i] = __nv_fp8_e4m3(value);
      return;
    default:
      static_cast<float*>(array)[i] = value;
  }
}

// `kSize` neighbouring elements, read and written at once.
template <typename T, int kSize>
struct alignas(sizeof(T) * kSize) Pack {
  T at[kSize];
};

// Calls fn(T{}) with the device's type of an activation dtype.
template <typename Fn>
void DispatchDevice(DType dtype, const Fn& fn) {
  switch (dtype) {
    case DType::kFloat32:
      return fn(float{});
    case DType::kBFloat16:
      return fn(__nv_bfloat16{});
    case DType::kFloat16:
      return fn(__half{});
    default:
      CHECK(false) << "not an activation dtype: " << DTypeName(dtype);
  }
}

// Whether rows of `x` may be read 16 bytes at a time.
inline bool WideRows(const Tensor& x) {
  const size_t size = SizeOf(x.dtype);
  const bool even_stride = x.rank == 1 || x.row_stride * size % 16 == 0;
  return reinterpret_cast<uintptr_t>(x.data) % 16 == 0 && even_stride &&
         x.dim(x.rank - 1) * size % 16 == 0;
}

inline int CeilDiv(int64_t a, int64_t b) { return static_cast<int>((a + b - 1) / b); }

template <typename T>
__device__ T WarpSum(T x) {
  for (int offset = kWarp / 2; offset > 0; offset /= 2) x += __shfl_xor_sync(kAllLanes, x, offset);
  return x;
}

__device__ inline float WarpMax(float x) {
  for (int offset = kWarp / 2; offset > 0; offset /= 2) {
    x = fmaxf(x, __shfl_xor_sync(kAllLanes, x, offset));
  }
  return x;
}

// The largest of a block's values, in every thread. Starts and ends with a barrier.
__device__ inline float BlockMax(float x) {
  __shared__ float maxima[kWarp];
  x = WarpMax(x);
  __syncthreads();
  if (threadIdx.x % kWarp == 0) maxima[threadIdx.x / kWarp] = x;
  __syncthreads();
  const int num_warps = (blockDim.x + kWarp - 1) / kWarp;
  float largest = maxima[0];
  for (int w = 1; w < num_warps; ++w) largest = fmaxf(largest, maxima[w]);
  __syncthreads();
  return largest;
}

// The sum over a block, in every thread, always in the same order. Starts and ends with a barrier.
template <typename T>
__device__ T BlockSum(T x) {
  __shared__ T sums[kWarp];
  x = WarpSum(x);
  __syncthreads();
  if (threadIdx.x % kWarp == 0) sums[threadIdx.x / kWarp] = x;
  __syncthreads();
  const int num_warps = (blockDim.x + kWarp - 1) / kWarp;
  T total{};
  for (int w = 0; w < num_warps; ++w) total += sums[w];
  __syncthreads();
  return total;
}

inline constexpr float kLog2E = 1.44269504088896341f;

// 2 to the power of x; powers below 2^-126 are zero.
__device__ inline float PowerOfTwo(float x) {
  float result;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(result) : "f"(x));
  return result;
}

}  // namespace regatta
