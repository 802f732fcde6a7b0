// Quantisation of plain activations; norms and gates quantise their own results (store_row.h).
#include "kernels/cpu/cpu_ops.h"
#include "kernels/cpu/store_row.h"

namespace regatta {

void CpuOps::Quantize(const Tensor& x, const Activation& out) {
  CheckForm(out);
  CHECK(out.quantized());
  CHECK_EQ(x.dim(0), out.values.dim(0));
  CHECK_EQ(x.dim(1), out.values.dim(1));
  DispatchActivation(x.dtype, [&](auto zero) {
    using T = decltype(zero);
    ForEachRow(x.dim(0), 2 * x.dim(1), [&](int64_t row) {
      const T* from = x.as<T>() + row * x.row_stride;
      StoreRow<T>([&](int64_t i) { return ToFloat(from[i]); }, row, out);
    });
  });
}

}  // namespace regatta
