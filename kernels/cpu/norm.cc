// RMSNorm (Zhang & Sennrich 2019): the scale is taken in float32, one rounding to the output
// or its quantisation.
#include <cmath>

#include "kernels/cpu/cpu_ops.h"
#include "kernels/cpu/store_row.h"

namespace regatta {
namespace {

template <typename T>
void NormRow(const T* x, const T* weight, float eps, int64_t row, const Activation& out) {
  const int64_t width = out.values.dim(1);
  const float squares = FixedOrderSum(width, [&](int64_t i) {
    const float v = ToFloat(x[i]);
    return v * v;
  });
  const float scale = 1.0f / std::sqrt(squares / static_cast<float>(width) + eps);
  StoreRow<T>([&](int64_t i) { return ToFloat(x[i]) * scale * ToFloat(weight[i]); }, row, out);
}

void CheckNorm(const Tensor& x, const Tensor& weight, const Activation& out) {
  CheckForm(out);
  CHECK_EQ(x.dim(0), out.values.dim(0));
  CHECK_EQ(x.dim(1), out.values.dim(1));
  CHECK_EQ(weight.dim(0), x.dim(1));
  CHECK(weight.dtype == x.dtype);
  CHECK(out.quantized() || out.values.dtype == x.dtype);
}

}  // namespace

void CpuOps::RmsNorm(const Tensor& x, const Tensor& weight, float eps, const Activation& out) {
  CheckNorm(x, weight, out);
  DispatchActivation(x.dtype, [&](auto zero) {
    using T = decltype(zero);
    ForEachRow(x.dim(0), x.dim(1), [&](int64_t row) {
      NormRow(x.as<T>() + row * x.row_stride, weight.as<T>(), eps, row, out);
    });
  });
}

void CpuOps::AddRmsNorm(const Tensor& residual, const Tensor& x, const Tensor& weight, float eps,
                        const Activation& out) {
  CheckNorm(x, weight, out);
  CHECK_EQ(residual.dim(0), x.dim(0));
  CHECK_EQ(residual.dim(1), x.dim(1));
  CHECK(residual.dtype == x.dtype);
  const int64_t width = x.dim(1);
  DispatchActivation(x.dtype, [&](auto zero) {
    using T = decltype(zero);
    ForEachRow(x.dim(0), width, [&](int64_t row) {
      T* sum = residual.as<T>() + row * residual.row_stride;
      const T* add = x.as<T>() + row * x.row_stride;
      for (int64_t i = 0; i < width; ++i) sum[i] = FromFloat<T>(ToFloat(sum[i]) + ToFloat(add[i]));
      NormRow(sum, weight.as<T>(), eps, row, out);
    });
  });
}

}  // namespace regatta
