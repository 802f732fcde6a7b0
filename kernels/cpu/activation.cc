// Elementwise operations: the gate of an MLP (SwiGLU, Shazeer 2020) and gated addition.
#include "kernels/cpu/cpu_ops.h"
#include "kernels/cpu/store_row.h"

namespace regatta {

void CpuOps::SiluMul(const Tensor& gate_up, const Activation& out) {
  const int64_t width = out.values.dim(1);
  CheckForm(out);
  CHECK_EQ(gate_up.dim(0), out.values.dim(0));
  CHECK_EQ(gate_up.dim(1), 2 * width);
  CHECK(out.quantized() || gate_up.dtype == out.values.dtype);
  DispatchActivation(gate_up.dtype, [&](auto zero) {
    using T = decltype(zero);
    ForEachRow(gate_up.dim(0), 4 * width, [&](int64_t row) {
      const T* gate = gate_up.as<T>() + row * gate_up.row_stride;
      const T* up = gate + width;
      StoreRow<T>([&](int64_t i) { return Silu(ToFloat(gate[i])) * ToFloat(up[i]); }, row, out);
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
