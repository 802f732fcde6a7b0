// Names, shapes and values of scales; see stored_scales.h.
#include "worker/weights/stored_scales.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/checkpoint/checkpoint_check.h"
#include "common/status_macros.h"
#include "kernels/dtype.h"
#include "worker/weights/stored_dtype.h"

namespace regatta {
namespace {

absl::Status Annotate(const StoredTensor& stored, const std::string& name, std::string what) {
  return absl::InvalidArgumentError(absl::StrCat(*stored.path, ": tensor ", name, " ", what));
}

// All elements of a small tensor of floating dtype.
absl::StatusOr<std::vector<float>> ReadFloats(const StoredTensor& stored, const std::string& name) {
  RETURN_IF_ERROR(CheckScaleDType(stored, name));
  const DType dtype = *DTypeOf(*stored.type);
  std::vector<float> values(stored.num_bytes / SizeOf(dtype));
  DispatchActivation(dtype, [&](auto element) {
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

}  // namespace

absl::StatusOr<StoredScales> ReadScales(const Checkpoint& checkpoint, const TensorInfo& tensor,
                                        const QuantizationSpec& quantization) {
  ASSIGN_OR_RETURN(const ScaleTensors found, FindScales(checkpoint, tensor, quantization));
  StoredScales scales;
  ASSIGN_OR_RETURN(scales.weight, ReadFloats(*found.weight.stored, found.weight.name));
  if (found.input.stored == nullptr) return scales;
  RETURN_IF_ERROR(ReadScalar(*found.weight.stored, found.weight.name).status());
  ASSIGN_OR_RETURN(scales.input, ReadScalar(*found.input.stored, found.input.name));
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
