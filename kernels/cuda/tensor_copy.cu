// Asking the driver for a description; see tensor_copy.h.
#include <cuda_runtime.h>

#include "kernels/cuda/tensor_copy.h"

namespace regatta {
namespace {

using Encode = decltype(&cuTensorMapEncodeTiled);

// The runtime finds it, so that nothing is linked to the driver.
Encode FindEncode() {
  void* function = nullptr;
  cudaDriverEntryPointQueryResult result{};
  if (cudaGetDriverEntryPointByVersion("cuTensorMapEncodeTiled", &function, 12000,
                                       cudaEnableDefault, &result) != cudaSuccess) {
    cudaGetLastError();
    return nullptr;
  }
  return reinterpret_cast<Encode>(function);
}

}  // namespace

std::optional<CUtensorMap> MapTiles(const Tensor& matrix, int rows) {
  static const Encode encode = FindEncode();
  if (encode == nullptr) return std::nullopt;
  const auto size = static_cast<int64_t>(SizeOf(matrix.dtype));
  const cuuint64_t extents[] = {static_cast<cuuint64_t>(matrix.dim(1) * size),
                                static_cast<cuuint64_t>(matrix.dim(0))};
  const cuuint64_t strides[] = {static_cast<cuuint64_t>(matrix.row_stride * size)};
  const cuuint32_t box[] = {kCopyLine, static_cast<cuuint32_t>(rows)};
  const cuuint32_t steps[] = {1, 1};
  CUtensorMap map;
  const CUresult result =
      encode(&map, CU_TENSOR_MAP_DATA_TYPE_UINT8, 2, matrix.data, extents, strides, box, steps,
             CU_TENSOR_MAP_INTERLEAVE_NONE, CU_TENSOR_MAP_SWIZZLE_128B,
             CU_TENSOR_MAP_L2_PROMOTION_L2_256B, CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE);
  if (result != CUDA_SUCCESS) return std::nullopt;
  return map;
}

}  // namespace regatta
