// Names of dtypes; everything else about tensors is inline.
#include "kernels/tensor.h"

#include "kernels/dtype.h"

namespace regatta {

const char* DTypeName(DType dtype) {
  switch (dtype) {
    case DType::kFloat32:
      return "float32";
    case DType::kBFloat16:
      return "bfloat16";
    case DType::kFloat16:
      return "float16";
    case DType::kFloat8E4M3:
      return "float8_e4m3fn";
    case DType::kInt32:
      return "int32";
    case DType::kInt64:
      return "int64";
    case DType::kUint8:
      return "uint8";
  }
  return "unknown";
}

void UnsupportedDType(DType dtype) {
  CHECK(false) << "no operation on " << DTypeName(dtype);
  __builtin_unreachable();
}

}  // namespace regatta
