// The last step of every operation that makes an activation: one rounding to the model's dtype, or
// quantisation. Inline; used inside Vectorized bodies.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "kernels/activation.h"
#include "kernels/cpu/vector_math.h"

namespace regatta {

// The scale under which the largest of `n` magnitudes becomes kFloat8Max.
template <typename Value>
inline float ScaleFor(int64_t n, const Value& value) {
  const float peak = Max(n, [&](int64_t i) { return std::abs(value(i)); });
  return std::max(peak, kSmallestPeak) * (1 / kFloat8Max);
}

// Row `row` of `out` becomes value(i) for i in [0, K): as T, or in the quantised form of `out`.
// Calls `value` more than once per element when scales are to be found.
template <typename T, typename Value>
inline void StoreRow(const Value& value, int64_t row, const Activation& out) {
  const int64_t width = out.values.dim(1);
  if (!out.quantized()) {
    T* to = out.values.as<T>() + row * out.values.row_stride;
    for (int64_t i = 0; i < width; ++i) to[i] = FromFloat<T>(value(i));
    return;
  }
  const int64_t group = out.group();
  float* scales = out.scale.as<float>();
  for (int64_t first = 0; first < width; first += group) {
    const int64_t n = std::min(group, width - first);
    const auto in_group = [&](int64_t i) { return value(first + i); };
    float* scale = out.is_static() ? scales : scales + first / group * out.scale.row_stride + row;
    if (!out.is_static()) *scale = ScaleFor(n, in_group);
    const float inverse = 1.0f / *scale;
    auto* to = out.values.as<Float8E4M3>() + row * out.values.row_stride + first;
    for (int64_t i = 0; i < n; ++i) to[i] = FromFloat<Float8E4M3>(in_group(i) * inverse);
  }
}

}  // namespace regatta
