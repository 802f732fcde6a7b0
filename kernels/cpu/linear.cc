// Dense layers: widening and one product.
#include <span>

#include "kernels/cpu/cpu_ops.h"
#include "kernels/dtype.h"

namespace regatta {

// Narrow activations are widened once to float32; sums, bias and the one rounding to the output are
// in Multiply.
void CpuOps::Linear(const Activation& activation, const Weight& weight, const Tensor& bias,
                    const Tensor& out) {
  const Tensor& x = activation.values;
  const int64_t rows = x.dim(0);
  const int64_t depth = weight.in_features;
  CheckForm(activation);
  CHECK_EQ(activation.quantized(), weight.input != ActivationFormat::kPlain)
      << "an input that is not in its weight's form";
  CHECK_EQ(x.dim(1), depth);
  CHECK_EQ(out.dim(0), rows);
  CHECK_EQ(out.dim(1), weight.out_features);
  if (bias) CHECK_EQ(bias.dim(0), weight.out_features);
  Product product = {.x = x.as<float>(),
                     .x_stride = x.row_stride,
                     .x_scale = activation.scale,
                     .weight = static_cast<const PanelWeight*>(&weight),
                     .bias = bias,
                     .out = out};
  if (x.dtype != DType::kFloat32) {
    CHECK_LE(rows * depth, static_cast<int64_t>(scratch_.widened.size())) << "beyond Reserve";
    float* widened = scratch_.widened.data();
    DispatchStorage(x.dtype, [&](auto zero) {
      using T = decltype(zero);
      ForEachRow(rows, depth, [&](int64_t row) {
        const T* from = x.as<T>() + row * x.row_stride;
        for (int64_t i = 0; i < depth; ++i) widened[row * depth + i] = ToFloat(from[i]);
      });
    });
    product.x = widened;
    product.x_stride = depth;
  }
  Multiply(pool_, isa_, std::span(&product, 1));
}

}  // namespace regatta
