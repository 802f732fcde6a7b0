// Activations as operations hand them to one another: in the model's dtype, or in E4M3 with scales
// when the next weight wants them so. Whoever produces an activation quantises it; nothing is
// quantised twice.
#pragma once

#include <concepts>

#include "kernels/tensor.h"

namespace regatta {

// Features of a token that share a scale; also rows and columns of a block of a weight.
inline constexpr int64_t kScaleGroup = 128;
// An activation scaled by groups, and the output of its product, have memory for their rows rounded
// up to this many: cuBLASLt multiplies by whole vectors of scales. What is in those rows is free.
inline constexpr int64_t kGroupRows = 4;

// The largest number of E4M3: what the largest magnitude under one scale becomes.
inline constexpr float kFloat8Max = 448.0f;
// Magnitudes below this count as this when a scale is made: rows of zeros have a scale too.
inline constexpr float kSmallestPeak = 1e-12f;

enum class ActivationFormat : uint8_t {
  kPlain,     // the model's dtype
  kStatic,    // E4M3 of one scale that is known before the step
  kPerToken,  // E4M3 of a scale per token
  kPerGroup,  // E4M3 of a scale per token and kScaleGroup features
};

// A matrix [T, K]. Plain, or E4M3 numbers that stand for values * scale.
struct Activation {
  Tensor values;
  // Float32 on the device. Static: [1], given to the producer. Per token: [1, T], and per group:
  // [ceil(K / kScaleGroup), T], written by the producer; rows are T rounded up to kGroupRows apart.
  Tensor scale;

  Activation() = default;
  template <std::convertible_to<Tensor> T>
  Activation(const T& plain) : values(plain) {}  // NOLINT: a tensor is an activation
  Activation(const Tensor& values, const Tensor& scale) : values(values), scale(scale) {}

  bool quantized() const { return values.dtype == DType::kFloat8E4M3; }
  bool is_static() const { return scale.rank == 1; }
  // Features under one scale, of a quantised activation.
  int64_t group() const { return is_static() || scale.dim(0) == 1 ? values.dim(1) : kScaleGroup; }
  // The first `count` rows of memory for more.
  Activation FirstRows(int64_t count) const {
    Activation rows = {values.Rows(0, count), scale};
    if (!quantized() || is_static()) return rows;
    rows.scale.shape[1] = count;
    rows.scale.row_stride = (count + kGroupRows - 1) / kGroupRows * kGroupRows;
    return rows;
  }
};

// CHECKs that the parts of an activation fit one another.
inline void CheckForm(const Activation& x) {
  CHECK_EQ(x.values.rank, 2);
  CHECK_EQ(x.quantized(), static_cast<bool>(x.scale)) << DTypeName(x.values.dtype);
  if (!x.quantized()) return;
  CHECK(x.scale.dtype == DType::kFloat32);
  if (x.is_static()) {
    CHECK_EQ(x.scale.dim(0), 1);
    return;
  }
  CHECK_EQ(x.scale.dim(1), x.values.dim(0));
  CHECK_EQ(x.scale.row_stride, (x.scale.dim(1) + kGroupRows - 1) / kGroupRows * kGroupRows);
  if (x.scale.dim(0) > 1) {
    CHECK_EQ(x.scale.dim(0), (x.values.dim(1) + kScaleGroup - 1) / kScaleGroup);
  }
}

// A weight that its maker wants quantised, on the host.
struct QuantizedMatrix {
  // [out, in]: E4M3; or an activation dtype, whose rows Prepare quantises, each under a scale.
  Tensor values;
  // Float32 on the host: [1]; [out]; or [ceil(out / kScaleGroup), ceil(in / kScaleGroup)] for
  // blocks, dense. Empty when `values` is not E4M3.
  Tensor scale;
  // Of a static input; 0: inputs are scaled per token, or per group when the scales are of blocks.
  float input_scale = 0;

  ActivationFormat input() const {
    if (scale.rank == 2) return ActivationFormat::kPerGroup;
    return input_scale > 0 ? ActivationFormat::kStatic : ActivationFormat::kPerToken;
  }
};

}  // namespace regatta
