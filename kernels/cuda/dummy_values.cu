// Dummy weights where they live: bits equal to the host's, without host memory or copies.
#include <algorithm>

#include "kernels/cuda/cuda_backend.h"
#include "kernels/cuda/element.cuh"
#include "kernels/dummy_values.h"

namespace regatta {
namespace {

// Blocks of a row in x, rows in y and on.
template <typename T>
__global__ void FillDummyKernel(T* out, int64_t stride, int64_t rows, int64_t columns,
                                DummyValues values) {
  const int64_t column = int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  if (column >= columns) return;
  for (int64_t row = blockIdx.y; row < rows; row += gridDim.y) {
    const uint64_t index = values.first + row * values.pitch + column;
    out[row * stride + column] = Narrow<T>(DummyValueAt(values, index));
  }
}

}  // namespace

void CudaOps::FillDummy(const Tensor& out, const DummyValues& values) {
  if (out.num_elements() == 0) return;
  // A vector is one column in memory as dense as one row; as a row it fills blocks.
  const bool row_like = out.rank == 1 && values.pitch == 1 && out.row_stride == 1;
  const int64_t rows = row_like ? 1 : out.dim(0);
  const int64_t columns = row_like ? out.dim(0) : out.rank == 1 ? 1 : out.dim(1);
  constexpr int kThreads = 256;
  constexpr int64_t kMaxRowBlocks = 32768;
  const dim3 blocks(CeilDiv(columns, kThreads),
                    static_cast<unsigned>(std::min(rows, kMaxRowBlocks)));
  Check(cudaSetDevice(device_), "cudaSetDevice");
  const auto fill = [&](auto type) {
    using T = decltype(type);
    FillDummyKernel<<<blocks, kThreads, 0, stream_>>>(out.as<T>(), out.row_stride, rows, columns,
                                                      values);
  };
  if (out.dtype == DType::kFloat8E4M3) {
    fill(__nv_fp8_e4m3{});
  } else {
    DispatchDevice(out.dtype, fill);
  }
  Launched("dummy weights");
}

}  // namespace regatta
