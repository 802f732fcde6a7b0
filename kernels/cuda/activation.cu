// Elementwise operations: the gate of an MLP (SwiGLU, Shazeer 2020) and gated addition.
#include <algorithm>

#include "kernels/cuda/cuda_backend.h"
#include "kernels/cuda/dependent_launch.cuh"
#include "kernels/cuda/gate.cuh"
#include "kernels/cuda/quantize.cuh"

namespace regatta {
namespace {

// Block x is the row; threads and blocks y run along it.
template <typename T, int kSize>
__global__ void SiluMulKernel(Tensor gate_up, Tensor out) {
  using P = Pack<T, kSize>;
  FollowPrevious();
  const int64_t width = out.shape[1];
  const T* row = static_cast<const T*>(gate_up.data) + int64_t{blockIdx.x} * gate_up.row_stride;
  const P* gate = reinterpret_cast<const P*>(row);
  const P* up = reinterpret_cast<const P*>(row + width);
  P* to = reinterpret_cast<P*>(static_cast<T*>(out.data) + int64_t{blockIdx.x} * out.row_stride);
  const int64_t i = int64_t{blockIdx.y} * blockDim.x + threadIdx.x;
  if (i * kSize >= width) return;
  const P g = gate[i];
  const P u = up[i];
  P result;
#pragma unroll
  for (int j = 0; j < kSize; ++j) {
    const float x = Widen(g.at[j]);
    result.at[j] = Narrow<T>(x * Sigmoid(x) * Widen(u.at[j]));
  }
  to[i] = result;
}

// The same with an output in E4M3.
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
    for (int j = 0; j < kPerLane; ++j) values[j] = values[j] * Sigmoid(values[j]) * up[j];
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
    if (activation.quantized()) {
      LaunchQuantizedSiluMul<T>(gate_up, activation, stream_);
    } else if (WideRows(gate_up) && WideRows(out)) {
      LaunchEarly<&SiluMulKernel<T, kWide>>(ElementwiseShape(out, kWide), stream_, gate_up, out);
    } else {
      LaunchEarly<&SiluMulKernel<T, 1>>(ElementwiseShape(out, 1), stream_, gate_up, out);
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
