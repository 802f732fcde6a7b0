// RMSNorm (Zhang & Sennrich 2019), alone and after a residual addition: the scale is taken in
// float32, one rounding to the output or its
// quantisation.
#include <algorithm>

#include "kernels/cuda/cuda_backend.h"
#include "kernels/cuda/dependent_launch.cuh"
#include "kernels/cuda/quantize.cuh"

namespace regatta {
namespace {

struct NormCall {
  Tensor x;         // added to `residual` first, when there is one
  Tensor residual;  // or empty
  Tensor weight;
  Activation out;
  float eps;
};

// Adds to the residual when there is one; 1 / rms of the row, in every thread.
template <typename T, int kSize>
__device__ float AddAndMeasure(const NormCall& call, int64_t row) {
  using P = Pack<T, kSize>;
  const int64_t width = call.weight.shape[0];
  const bool adds = call.residual.data != nullptr;
  const Tensor& summed = adds ? call.residual : call.x;
  P* source = reinterpret_cast<P*>(static_cast<T*>(summed.data) + row * summed.row_stride);
  const P* added =
      reinterpret_cast<const P*>(static_cast<const T*>(call.x.data) + row * call.x.row_stride);
  float squares = 0;
  for (int64_t i = threadIdx.x; i * kSize < width; i += blockDim.x) {
    P value = source[i];
    if (adds) {
      const P more = added[i];
#pragma unroll
      for (int j = 0; j < kSize; ++j) {
        value.at[j] = Narrow<T>(Widen(value.at[j]) + Widen(more.at[j]));
      }
      source[i] = value;
    }
#pragma unroll
    for (int j = 0; j < kSize; ++j) squares += Widen(value.at[j]) * Widen(value.at[j]);
  }
  return rsqrtf(BlockSum(squares) / static_cast<float>(width) + call.eps);
}

template <typename T>
__device__ const T* SummedRow(const NormCall& call, int64_t row) {
  const Tensor& summed = call.residual.data != nullptr ? call.residual : call.x;
  return static_cast<const T*>(summed.data) + row * summed.row_stride;
}

// One block per row; the row is read again for the second pass, from the cache.
template <typename T, int kSize>
__global__ void NormKernel(NormCall call) {
  using P = Pack<T, kSize>;
  FollowPrevious();
  const int64_t row = blockIdx.x;
  const int64_t width = call.weight.shape[0];
  const float scale = AddAndMeasure<T, kSize>(call, row);
  const P* source = reinterpret_cast<const P*>(SummedRow<T>(call, row));
  const P* weight = static_cast<const P*>(call.weight.data);
  const Tensor& to = call.out.values;
  P* out = reinterpret_cast<P*>(static_cast<T*>(to.data) + row * to.row_stride);
  for (int64_t i = threadIdx.x; i * kSize < width; i += blockDim.x) {
    const P value = source[i];
    const P factor = weight[i];
    P result;
#pragma unroll
    for (int j = 0; j < kSize; ++j) {
      result.at[j] = Narrow<T>(Widen(value.at[j]) * scale * Widen(factor.at[j]));
    }
    out[i] = result;
  }
}

// The same with an output in E4M3. Threads read the row in another order than they summed it; the
// barriers of the sum are between.
template <typename T, int kSize, bool kWide>
__global__ void QuantizedNormKernel(NormCall call) {
  FollowPrevious();
  const int64_t row = blockIdx.x;
  const int64_t width = call.weight.shape[0];
  const float scale = AddAndMeasure<T, kSize>(call, row);
  const T* source = SummedRow<T>(call, row);
  const T* weight = static_cast<const T*>(call.weight.data);
  StoreQuantizedRow<kWide>(call.out, row, [&](int64_t first, float(&values)[kPerLane]) {
    float factor[kPerLane];
    LoadFew<kWide>(source, first, width, values);
    LoadFew<kWide>(weight, first, width, factor);
#pragma unroll
    for (int j = 0; j < kPerLane; ++j) values[j] = values[j] * scale * factor[j];
  });
}

// Stores a thread's elements of a row from `first` on in E4M3, by the given scale where that is
// static; every thread of the block calls it.
template <int kSize>
__device__ void StoreQuantizedPack(const Activation& out, int64_t row, int64_t first, bool held,
                                   const float (&values)[kSize], float scale) {
  auto* scales = static_cast<float*>(out.scale.data);
  if (out.scale.rank != 1) {
    float peak = 0;
#pragma unroll
    for (int j = 0; j < kSize; ++j) peak = fmaxf(peak, fabsf(values[j]));
    if (out.scale.shape[0] == 1) {  // per token
      scale = ScaleOfPeak(BlockMax(peak));
      if (threadIdx.x == 0) scales[row] = scale;
    } else {
      for (int lanes = static_cast<int>(kScaleGroup) / kSize / 2; lanes > 0; lanes /= 2) {
        peak = fmaxf(peak, __shfl_xor_sync(kAllLanes, peak, lanes));
      }
      scale = ScaleOfPeak(peak);
      if (held && first % kScaleGroup == 0) {
        scales[first / kScaleGroup * out.scale.row_stride + row] = scale;
      }
    }
  }
  if (!held) return;
  Pack<__nv_fp8_e4m3, kSize> pack;
#pragma unroll
  for (int j = 0; j < kSize; ++j) pack.at[j] = __nv_fp8_e4m3(values[j] * (1.0f / scale));
  auto* to = static_cast<__nv_fp8_e4m3*>(out.values.data) + row * out.values.row_stride + first;
  *reinterpret_cast<Pack<__nv_fp8_e4m3, kSize>*>(to) = pack;
}

// A thread's elements of the row, after the addition to the residual when there is one.
template <typename T, int kSize>
__device__ Pack<T, kSize> AddPack(const NormCall& call, int64_t row, int64_t first) {
  using P = Pack<T, kSize>;
  const T* x = static_cast<const T*>(call.x.data) + row * call.x.row_stride + first;
  const P added = *reinterpret_cast<const P*>(x);
  if (call.residual.data == nullptr) return added;
  T* residual = static_cast<T*>(call.residual.data) + row * call.residual.row_stride + first;
  P sum = *reinterpret_cast<const P*>(residual);
#pragma unroll
  for (int j = 0; j < kSize; ++j) sum.at[j] = Narrow<T>(Widen(sum.at[j]) + Widen(added.at[j]));
  *reinterpret_cast<P*>(residual) = sum;
  return sum;
}

// Rows of which every thread has one pack: nothing is read twice, and the weight and a static scale
// are there before the row is.
template <typename T, int kSize>
__global__ void PackNormKernel(NormCall call) {
  using P = Pack<T, kSize>;
  LetNextBegin();
  const int64_t row = blockIdx.x, first = int64_t{threadIdx.x} * kSize;
  const int64_t width = call.weight.shape[0];
  const bool held = first < width;
  const P factor = held ? static_cast<const P*>(call.weight.data)[threadIdx.x] : P{};
  const float out_scale =
      call.out.scale.rank == 1 ? *static_cast<const float*>(call.out.scale.data) : 0;
  AwaitPrevious();
  const P sum = held ? AddPack<T, kSize>(call, row, first) : P{};
  float squares = 0;
#pragma unroll
  for (int j = 0; j < kSize; ++j) squares += Widen(sum.at[j]) * Widen(sum.at[j]);
  const float scale = rsqrtf(BlockSum(squares) / static_cast<float>(width) + call.eps);
  float values[kSize];
#pragma unroll
  for (int j = 0; j < kSize; ++j) values[j] = Widen(sum.at[j]) * scale * Widen(factor.at[j]);
  const Tensor& to = call.out.values;
  if (to.dtype == DType::kFloat8E4M3) {
    return StoreQuantizedPack(call.out, row, first, held, values, out_scale);
  }
  if (!held) return;
  P result;
#pragma unroll
  for (int j = 0; j < kSize; ++j) result.at[j] = Narrow<T>(values[j]);
  *reinterpret_cast<P*>(static_cast<T*>(to.data) + row * to.row_stride + first) = result;
}

// Whether rows may be written `count` elements at a time.
bool PacksAligned(const Tensor& x, int count) {
  return reinterpret_cast<uintptr_t>(x.data) % (count * SizeOf(x.dtype)) == 0 &&
         x.row_stride % count == 0 && x.dim(1) % count == 0;
}

void LaunchNorm(const NormCall& call, cudaStream_t stream) {
  const Tensor& x = call.x;
  const Tensor& out = call.out.values;
  const bool quantized = call.out.quantized();
  CheckForm(call.out);
  CHECK_EQ(x.dim(0), out.dim(0));
  CHECK_EQ(x.dim(1), out.dim(1));
  CHECK_EQ(call.weight.dim(0), x.dim(1));
  CHECK((quantized || x.dtype == out.dtype) && call.weight.dtype == x.dtype);
  if (x.dim(0) == 0) return;
  const bool wide = WideRows(x) && WideRows(call.weight) &&
                    (quantized ? FewAligned(out) : WideRows(out)) &&
                    (!call.residual || WideRows(call.residual));
  DispatchDevice(x.dtype, [&](auto zero) {
    using T = decltype(zero);
    constexpr int kWide = 16 / sizeof(T);
    const int64_t packs = x.dim(1) / (wide ? kWide : 1);
    const int threads = static_cast<int>(std::clamp<int64_t>(CeilDiv(packs, kWarp), 1, 32)) * kWarp;
    const LaunchShape shape = {.grid = dim3(x.dim(0)), .block = dim3(threads)};
    if (wide && packs <= threads && PacksAligned(out, kWide)) {
      LaunchEarly<&PackNormKernel<T, kWide>>(shape, stream, call);
    } else if (quantized && wide) {
      LaunchEarly<&QuantizedNormKernel<T, kWide, true>>(shape, stream, call);
    } else if (quantized) {
      LaunchEarly<&QuantizedNormKernel<T, 1, false>>(shape, stream, call);
    } else if (wide) {
      LaunchEarly<&NormKernel<T, kWide>>(shape, stream, call);
    } else {
      LaunchEarly<&NormKernel<T, 1>>(shape, stream, call);
    }
  });
}

}  // namespace

void CudaOps::RmsNorm(const Tensor& x, const Tensor& weight, float eps, const Activation& out) {
  LaunchNorm({x, Tensor{}, weight, out, eps}, stream_);
  Launched("RmsNorm");
}

void CudaOps::AddRmsNorm(const Tensor& residual, const Tensor& x, const Tensor& weight, float eps,
                         const Activation& out) {
  CHECK_EQ(residual.dim(0), x.dim(0));
  CHECK_EQ(residual.dim(1), x.dim(1));
  CHECK(residual.dtype == x.dtype);
  LaunchNorm({x, residual, weight, out, eps}, stream_);
  Launched("AddRmsNorm");
}

}  // namespace regatta
