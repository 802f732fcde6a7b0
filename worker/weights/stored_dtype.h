// The element types of safetensors that kernels read.
#pragma once

#include <optional>

#include "absl/strings/string_view.h"
#include "common/checkpoint/safetensors_header.h"
#include "kernels/tensor.h"

namespace regatta {

// The dtype in which `type` comes to kernels; empty when none reads it.
inline std::optional<DType> DTypeOf(const StoredType& type) {
  const absl::string_view name = type.name;
  if (name == "F32") return DType::kFloat32;
  if (name == "BF16") return DType::kBFloat16;
  if (name == "F16") return DType::kFloat16;
  if (name == "F8_E4M3") return DType::kFloat8E4M3;
  return std::nullopt;
}

}  // namespace regatta
