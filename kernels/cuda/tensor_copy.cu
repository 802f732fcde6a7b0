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

std::optional<CUtensorMap> MapTiles(const Tensor& matrix, const CopyBox& box) {
  static const Encode encode = FindEncode();
  if (encode == nullptr) return std::nullopt;
  CUtensorMap map;
  const auto size = static_cast<int64_t>(SizeOf(matrix.dtype));
  const auto row_bytes = static_cast<cuuint64_t>(matrix.row_stride * size);
  const auto part_rows = static_cast<cuuint64_t>(matrix.dim(0) / box.parts);
  const auto count = [](int n) { return static_cast<cuuint32_t>(n); };
  const cuuint64_t extents[] = {kCopyLine, part_rows, count(box.parts),
                                static_cast<cuuint64_t>(matrix.dim(1) * size / kCopyLine)};
  const cuuint64_t strides[] = {row_bytes, part_rows * row_bytes, kCopyLine};
  const cuuint32_t extent[] = {kCopyLine, count(box.rows), count(box.parts), count(box.lines)};
  const cuuint32_t steps[] = {1, 1, 1, 1};
  const CUresult result =
      encode(&map, CU_TENSOR_MAP_DATA_TYPE_UINT8, 4, matrix.data, extents, strides, extent, steps,
             CU_TENSOR_MAP_INTERLEAVE_NONE, CU_TENSOR_MAP_SWIZZLE_128B,
             CU_TENSOR_MAP_L2_PROMOTION_L2_256B, CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE);
  if (result != CUDA_SUCCESS) return std::nullopt;
  return map;
}

}  // namespace regatta
