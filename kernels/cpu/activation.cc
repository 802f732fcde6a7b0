// Elementwise operations: the gate of an MLP (SwiGLU, Shazeer 2020) and gated addition.
#include "kernels/cpu/cpu_ops.h"
#include "kernels/cpu/vector_math.h"

namespace regatta {

void CpuOps::SiluMul(const Tensor& gate_up, const Tensor& out) {
  const int64_t width = out.dim(1);
  CHECK_EQ(gate_up.dim(0), out.dim(0));
  CHECK_EQ(gate_up.dim(1), 2 * width);
  CHECK(gate_up.dtype == out.dtype);
  DispatchActivation(out.dtype, [&](auto zero) {
    using T = decltype(zero);
    ForEachRow(out.dim(0), 4 * width, [&](int64_t row) {
      const T* gate = gate_up.as<T>() + row * gate_up.row_stride;
      const T* up = gate + width;
      T* to = out.as<T>() + row * out.row_stride;
      for (int64_t i = 0; i < width; ++i) {
        to[i] = FromFloat<T>(Silu(ToFloat(gate[i])) * ToFloat(up[i]));
      }
    });
  });
}

void CpuOps::AddScaled(const Tensor& y, const Tensor& x, const Tensor& gate) {
  CHECK_EQ(x.dim(0), y.dim(0));
  CHECK_EQ(x.dim(1), y.dim(1));
  CHECK(x.dtype == y.dtype);
  if (gate) {
    CHECK_EQ(gate.dim(0), y.dim(0));
    CHECK(gate.dtype == DType::kFloat32);
  }
  DispatchActivation(y.dtype, [&](auto zero) {
    using T = decltype(zero);
    ForEachRow(y.dim(0), y.dim(1), [&](int64_t row) {
      const float scale = gate ? Sigmoid(gate.as<float>()[row * gate.row_stride]) : 1.0f;
      const T* from = x.as<T>() + row * x.row_stride;
      T* to = y.as<T>() + row * y.row_stride;
      for (int64_t i = 0; i < y.dim(1); ++i) {
        to[i] = FromFloat<T>(ToFloat(to[i]) + scale * ToFloat(from[i]));
      }
    });
  });
}

}  // namespace regatta
