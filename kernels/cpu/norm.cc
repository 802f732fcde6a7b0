// RMSNorm (Zhang & Sennrich 2019): the scale is taken in float32, one rounding to the output.
#include <cmath>

#include "kernels/cpu/cpu_ops.h"
#include "kernels/cpu/vector_math.h"

namespace regatta {
namespace {

template <typename T>
void NormRow(const T* x, const T* weight, float eps, int64_t width, T* out) {
  const float squares = FixedOrderSum(width, [&](int64_t i) {
    const float v = ToFloat(x[i]);
    return v * v;
  });
  const float scale = 1.0f / std::sqrt(squares / static_cast<float>(width) + eps);
  for (int64_t i = 0; i < width; ++i) {
    out[i] = FromFloat<T>(ToFloat(x[i]) * scale * ToFloat(weight[i]));
  }
}

void CheckSame(const Tensor& a, const Tensor& b) {
  CHECK_EQ(a.dim(0), b.dim(0));
  CHECK_EQ(a.dim(1), b.dim(1));
  CHECK(a.dtype == b.dtype);
}

}  // namespace

void CpuOps::RmsNorm(const Tensor& x, const Tensor& weight, float eps, const Tensor& out) {
  CheckSame(x, out);
  CHECK_EQ(weight.dim(0), x.dim(1));
  CHECK(weight.dtype == x.dtype);
  DispatchActivation(x.dtype, [&](auto zero) {
    using T = decltype(zero);
    ForEachRow(x.dim(0), x.dim(1), [&](int64_t row) {
      NormRow(x.as<T>() + row * x.row_stride, weight.as<T>(), eps, x.dim(1),
              out.as<T>() + row * out.row_stride);
    });
  });
}

void CpuOps::AddRmsNorm(const Tensor& residual, const Tensor& x, const Tensor& weight, float eps,
                        const Tensor& out) {
  CheckSame(residual, x);
  CheckSame(residual, out);
  CHECK_EQ(weight.dim(0), x.dim(1));
  CHECK(weight.dtype == x.dtype);
  const int64_t width = x.dim(1);
  DispatchActivation(x.dtype, [&](auto zero) {
    using T = decltype(zero);
    ForEachRow(x.dim(0), width, [&](int64_t row) {
      T* sum = residual.as<T>() + row * residual.row_stride;
      const T* add = x.as<T>() + row * x.row_stride;
      for (int64_t i = 0; i < width; ++i) sum[i] = FromFloat<T>(ToFloat(sum[i]) + ToFloat(add[i]));
      NormRow(sum, weight.as<T>(), eps, width, out.as<T>() + row * out.row_stride);
    });
  });
}

}  // namespace regatta
