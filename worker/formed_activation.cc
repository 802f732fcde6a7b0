// Views of activations by the form that a weight takes.
#include "worker/formed_activation.h"

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"

namespace regatta {

absl::Status AllocateTensor(Ops& ops, DType dtype, int64_t rows, int64_t columns,
                            DeviceTensor& tensor) {
  const size_t bytes = static_cast<size_t>(rows) * columns * SizeOf(dtype);
  tensor.buffer = ops.Allocate(bytes);
  if (tensor.buffer.data() == nullptr) {
    return absl::ResourceExhaustedError(
        absl::StrCat("no memory for ", bytes, " bytes of activations"));
  }
  tensor.tensor = Tensor::Of(tensor.buffer.data(), dtype, rows, columns);
  return absl::OkStatus();
}

absl::Status FormedActivation::Allocate(Ops& ops, DType dtype, int64_t tokens, int64_t width,
                                        bool quantized) {
  CHECK_EQ(tokens % kGroupRows, 0);
  RETURN_IF_ERROR(AllocateTensor(ops, dtype, tokens, width, plain));
  if (!quantized) return absl::OkStatus();
  const int64_t groups = (width + kScaleGroup - 1) / kScaleGroup;
  RETURN_IF_ERROR(AllocateTensor(ops, DType::kFloat8E4M3, tokens, width, numbers));
  return AllocateTensor(ops, DType::kFloat32, groups, tokens, scales);
}

// Rows have their scales in a place of their own, as if they were all there is.
Activation FormedActivation::For(const Weight& user, int64_t first, int64_t tokens) const {
  CHECK_EQ(first % kGroupRows, 0);
  const int64_t width = user.in_features;
  const auto rows = [&](const DeviceTensor& memory) {
    CHECK_LE(first + tokens, memory.tensor.dim(0));
    CHECK_LE(width, memory.tensor.dim(1));
    return Tensor::Of(memory.buffer.data(), memory.tensor.dtype, first + tokens, width)
        .Rows(first, tokens);
  };
  if (user.input == ActivationFormat::kPlain) return rows(plain);
  if (user.input == ActivationFormat::kStatic) return {rows(numbers), user.input_scale};
  const bool per_group = user.input == ActivationFormat::kPerGroup;
  const int64_t groups = per_group ? (width + kScaleGroup - 1) / kScaleGroup : 1;
  float* const data = static_cast<float*>(scales.buffer.data()) + groups * first;
  const Tensor scale = Tensor::Of(data, DType::kFloat32, groups, tokens);
  return Activation(rows(numbers), scale).FirstRows(tokens);
}

}  // namespace regatta
