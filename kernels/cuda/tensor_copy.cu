// Asking the driver for a description; see tensor_copy.h.
#include "kernels/cuda/driver_function.h"
#include "kernels/cuda/tensor_copy.h"

namespace regatta {
namespace {

using Encode = decltype(&cuTensorMapEncodeTiled);

Encode FindEncode() {
  static const Encode encode = DriverFunction<Encode>("cuTensorMapEncodeTiled");
  return encode;
}

}  // namespace

bool CanMapTiles() { return FindEncode() != nullptr; }

std::optional<CUtensorMap> MapTiles(const Tensor& matrix, int rows) {
  const Encode encode = FindEncode();
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
