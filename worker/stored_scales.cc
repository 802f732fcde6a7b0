// Names, shapes and values of scales; see stored_scales.h.
#include "worker/stored_scales.h"

#include <cmath>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "common/status_macros.h"
#include "kernels/dtype.h"

namespace regatta {
namespace {

int64_t Blocks(int64_t n) { return (n + kScaleBlock - 1) / kScaleBlock; }

absl::Status Annotate(const StoredTensor& stored, const std::string& name, std::string what) {
  return absl::InvalidArgumentError(absl::StrCat(*stored.path, ": tensor ", name, " ", what));
}

// All elements of a small tensor of floating dtype.
absl::StatusOr<std::vector<float>> ReadFloats(const StoredTensor& stored, const std::string& name) {
  const std::optional<DType> dtype = stored.type->dtype;
  if (dtype != DType::kFloat32 && dtype != DType::kBFloat16 && dtype != DType::kFloat16) {
    return absl::UnimplementedError(absl::StrCat(*stored.path, ": tensor ", name, " has dtype ",
                                                 stored.type->name,
                                                 "; scales are read as F32, BF16 and F16"));
  }
  std::vector<float> values(stored.num_bytes / SizeOf(*dtype));
  DispatchActivation(*dtype, [&](auto element) {
    for (size_t i = 0; i < values.size(); ++i) {
      std::memcpy(&element, stored.data + i * sizeof(element), sizeof(element));
      values[i] = ToFloat(element);
    }
  });
  for (const float value : values) {
    if (std::isfinite(value) && value >= 0) continue;
    return Annotate(stored, name, absl::StrCat("holds ", value, "; scales are finite, at least 0"));
  }
  return values;
}

// A scalar, as [] or [1], above 0.
absl::StatusOr<float> ReadScalar(const StoredTensor& stored, const std::string& name) {
  ASSIGN_OR_RETURN(const std::vector<float> values, ReadFloats(stored, name));
  if (values.size() == 1 && values[0] > 0) return values[0];
  return Annotate(
      stored, name,
      absl::StrCat(
          "holds ",
          absl::StrJoin(values.begin(), values.begin() + std::min<size_t>(values.size(), 3), ", "),
          "; expected one scale above 0"));
}

absl::StatusOr<const StoredTensor*> FindScale(const Checkpoint& checkpoint,
                                              const TensorInfo& tensor, const std::string& name) {
  const StoredTensor* stored = checkpoint.Find(name);
  if (stored != nullptr) return stored;
  return absl::NotFoundError(
      absl::StrCat("the checkpoint lacks ", name, ", a scale of ", tensor.name));
}

}  // namespace

absl::StatusOr<StoredScales> ReadScales(const Checkpoint& checkpoint, const TensorInfo& tensor,
                                        const QuantizationSpec& quantization) {
  const std::string module(absl::StripSuffix(tensor.name, "weight"));
  const std::string name = absl::StrCat(module, quantization.scale_name);
  const bool per_tensor = quantization.scheme == QuantizationScheme::kTensor;
  const bool per_block = quantization.scheme == QuantizationScheme::kBlock;
  ASSIGN_OR_RETURN(const StoredTensor* stored, FindScale(checkpoint, tensor, name));
  StoredScales scales;
  ASSIGN_OR_RETURN(scales.weight, ReadFloats(*stored, name));
  const auto count = static_cast<int64_t>(scales.weight.size());
  const int64_t wanted = per_block    ? Blocks(tensor.rows) * Blocks(tensor.columns)
                         : per_tensor ? 1
                                      : tensor.rows;
  const bool one_for_all = count == 1 && !per_block;
  if (count != wanted && !one_for_all) {
    return Annotate(*stored, name,
                    absl::StrCat("has ", count, " scales; ", tensor.name, " of [", tensor.rows,
                                 ", ", tensor.columns, "] needs ", wanted));
  }
  if (!per_tensor) return scales;
  RETURN_IF_ERROR(ReadScalar(*stored, name).status());
  const std::string input_name = absl::StrCat(module, "input_scale");
  ASSIGN_OR_RETURN(const StoredTensor* input, FindScale(checkpoint, tensor, input_name));
  ASSIGN_OR_RETURN(scales.input, ReadScalar(*input, input_name));
  return scales;
}

absl::StatusOr<float> ReadCacheScale(const Checkpoint& checkpoint, int layer, bool keys) {
  const std::string attention = absl::StrCat("model.layers.", layer, ".self_attn.");
  const std::string scale = keys ? "k_scale" : "v_scale";
  for (const std::string& name :
       {absl::StrCat(attention, keys ? "k_proj." : "v_proj.", scale),  // ModelOpt
        absl::StrCat(attention, scale)}) {                             // compressed-tensors
    if (const StoredTensor* stored = checkpoint.Find(name)) return ReadScalar(*stored, name);
  }
  return 1.0f;
}

}  // namespace regatta
