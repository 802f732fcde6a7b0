// Quantisation of plain activations; norms and gates quantise their own results (quantize.cuh).
#include "kernels/cuda/cuda_backend.h"
#include "kernels/cuda/dependent_launch.cuh"
#include "kernels/cuda/quantize.cuh"

namespace regatta {
namespace {

template <typename T, bool kWide>
__global__ void QuantizeKernel(Tensor x, Activation out) {
  FollowPrevious();
  const int64_t row = blockIdx.x;
  const T* from = static_cast<const T*>(x.data) + row * x.row_stride;
  const int64_t width = x.shape[1];
  StoreQuantizedRow<kWide>(out, row, [&](int64_t first, float(&values)[kPerLane]) {
    LoadFew<kWide>(from, first, width, values);
  });
}

}  // namespace

void CudaOps::Quantize(const Tensor& x, const Activation& out) {
  CheckForm(out);
  CHECK(out.quantized());
  CHECK_EQ(x.dim(0), out.values.dim(0));
  CHECK_EQ(x.dim(1), out.values.dim(1));
  if (x.dim(0) == 0) return;
  const RowShape row = RowShapeOf(out);
  const LaunchShape shape = {.grid = dim3(x.dim(0), row.blocks), .block = dim3(row.threads)};
  DispatchDevice(x.dtype, [&](auto zero) {
    using T = decltype(zero);
    if (FewAligned(x) && FewAligned(out.values)) {
      LaunchEarly<&QuantizeKernel<T, true>>(shape, stream_, x, out);
    } else {
      LaunchEarly<&QuantizeKernel<T, false>>(shape, stream_, x, out);
    }
  });
  Launched("Quantize");
}

}  // namespace regatta
