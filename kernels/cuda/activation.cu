// Elementwise operations: the gate of an MLP (SwiGLU, Shazeer 2020) and gated addition.
#include <algorithm>
#include <type_traits>

#include "kernels/cuda/cuda_backend.h"
#include "kernels/cuda/dependent_launch.cuh"
#include "kernels/cuda/gate.cuh"
#include "kernels/cuda/quantize.cuh"

namespace regatta {
namespace {

constexpr int kGateThreads = 256;

// Block x is the row; threads and blocks y run along it. The output is plain or under a static
// scale.
template <typename T, typename Out, int kSize>
__global__ void SiluMulKernel(Tensor gate_up, Activation out) {
  using P = Pack<T, kSize>;
  FollowPrevious();
  const int64_t width = out.values.shape[1], row = blockIdx.x;
  const int64_t at = (int64_t{blockIdx.y} * kGateThreads + threadIdx.x) * kSize;
  if (at >= width) return;
  const T* gate = static_cast<const T*>(gate_up.data) + row * gate_up.row_stride + at;
  const P g = *reinterpret_cast<const P*>(gate);
  const P u = *reinterpret_cast<const P*>(gate + width);
  float factor = 1;
  if constexpr (std::is_same_v<Out, __nv_fp8_e4m3>) {
    factor /= *static_cast<const float*>(out.scale.data);
  }
  Pack<Out, kSize> result;
#pragma unroll
  for (int j = 0; j < kSize; ++j) {
    result.at[j] = Narrow<Out>(Gated<Out>(Widen(g.at[j]), Widen(u.at[j])) * factor);
  }
  Out* to = static_cast<Out*>(out.values.data) + row * out.values.row_stride + at;
  *reinterpret_cast<Pack<Out, kSize>*>(to) = result;
}

template <typename T, typename Out, int kSize>
void LaunchSiluMul(const Tensor& gate_up, const Activation& out, cudaStream_t stream) {
  const int blocks = CeilDiv(out.values.dim(1), int64_t{kGateThreads} * kSize);
  const LaunchShape shape = {.grid = dim3(gate_up.dim(0), blocks), .block = dim3(kGateThreads)};
  LaunchEarly<&SiluMulKernel<T, Out, kSize>>(shape, stream, gate_up, out);
}

// The same under scales that are found, or where rows are not aligned.
template <typename T, bool kWide>
__global__ void QuantizedSiluMulKernel(Tensor gate_up, Activation out) {
  FollowPrevious();
  const int64_t width = out.values.shape[1];
  const int64_t row = blockIdx.x;
  const T* gate = static_cast<const T*>(gate_up.data) + row * gate_up.row_stride;
  StoreQuantizedRow<kWide>(out, row, [&](int64_t first, float(&values)[kPerLane]) {
    float up[kPerLane];
    LoadFew<kWide>(gate, first, width, values);
    LoadFew<kWide>(gate + width, first, width, up);
#pragma unroll
    for (int j = 0; j < kPerLane; ++j) values[j] = Gated<__nv_fp8_e4m3>(values[j], up[j]);
  });
}

template <typename T>
void LaunchQuantizedSiluMul(const Tensor& gate_up, const Activation& out, cudaStream_t stream) {
  const RowShape row = RowShapeOf(out);
  const LaunchShape shape = {.grid = dim3(gate_up.dim(0), row.blocks), .block = dim3(row.threads)};
  if (FewAligned(gate_up) && FewAligned(out.values)) {
    LaunchEarly<&QuantizedSiluMulKernel<T, true>>(shape, stream, gate_up, out);
  } else {
    LaunchEarly<&QuantizedSiluMulKernel<T, false>>(shape, stream, gate_up, out);
  }
}

template <typename T, int kSize>
__global__ void AddScaledKernel(Tensor y, Tensor x, Tensor gate) {
  using P = Pack<T, kSize>;
  FollowPrevious();
  const int64_t row = blockIdx.x;
  const int64_t i = int64_t{blockIdx.y} * blockDim.x + threadIdx.x;
  if (i * kSize >= y.shape[1]) return;
  const float scale = gate.data == nullptr
                          ? 1.0f
                          : Sigmoid(static_cast<const float*>(gate.data)[row * gate.row_stride]);
  const P from = reinterpret_cast<const P*>(static_cast<const T*>(x.data) + row * x.row_stride)[i];
  P& to = reinterpret_cast<P*>(static_cast<T*>(y.data) + row * y.row_stride)[i];
  P sum = to;
#pragma unroll
  for (int j = 0; j < kSize; ++j) {
    sum.at[j] = Narrow<T>(Widen(sum.at[j]) + scale * Widen(from.at[j]));
  }
  to = sum;
}

// Rows along x, blocks over the columns along y.
LaunchShape ElementwiseShape(const Tensor& out, int elements_per_thread) {
  constexpr int64_t kThreads = 256;
  return {.grid = dim3(out.dim(0), CeilDiv(out.dim(1), kThreads * elements_per_thread)),
          .block = dim3(kThreads)};
}

}  // namespace

void CudaOps::SiluMul(const Tensor& gate_up, const Activation& activation) {
  const Tensor& out = activation.values;
  CheckForm(activation);
  CHECK_EQ(gate_up.dim(0), out.dim(0));
  CHECK_EQ(gate_up.dim(1), 2 * out.dim(1));
  CHECK(activation.quantized() || gate_up.dtype == out.dtype);
  if (out.dim(0) == 0) return;
  DispatchDevice(gate_up.dtype, [&](auto zero) {
    using T = decltype(zero);
    constexpr int kWide = 16 / sizeof(T);
    const bool wide = WideRows(gate_up) && WideRows(out);
    if (activation.quantized() && activation.is_static() && wide) {
      LaunchSiluMul<T, __nv_fp8_e4m3, kWide>(gate_up, activation, stream_);
    } else if (activation.quantized()) {
      LaunchQuantizedSiluMul<T>(gate_up, activation, stream_);
    } else if (wide) {
      LaunchSiluMul<T, T, kWide>(gate_up, activation, stream_);
    } else {
      LaunchSiluMul<T, T, 1>(gate_up, activation, stream_);
    }
  });
  Launched("SiluMul");
}

void CudaOps::AddScaled(const Tensor& y, const Tensor& x, const Tensor& gate) {
  CHECK_EQ(x.dim(0), y.dim(0));
  CHECK_EQ(x.dim(1), y.dim(1));
  CHECK(x.dtype == y.dtype);
  if (gate) {
    CHECK_EQ(gate.dim(0), y.dim(0));
    CHECK(gate.dtype == DType::kFloat32);
  }
  if (y.dim(0) == 0) return;
  DispatchDevice(y.dtype, [&](auto zero) {
    using T = decltype(zero);
    constexpr int kWide = 16 / sizeof(T);
    if (WideRows(x) && WideRows(y)) {
      LaunchEarly<&AddScaledKernel<T, kWide>>(ElementwiseShape(y, kWide), stream_, y, x, gate);
    } else {
      LaunchEarly<&AddScaledKernel<T, 1>>(ElementwiseShape(y, 1), stream_, y, x, gate);
    }
  });
  Launched("AddScaled");
}

}  // namespace regatta
