// Scalar functions written so that loops over them vectorise, and sums in a fixed order. Inline;
// used inside Vectorized bodies.
#pragma once

#include <bit>
#include <cstdint>

#include "kernels/dtype.h"

namespace regatta {

// e^x within 2 units in the last place; 0 below -86 (also for -infinity), infinity above 88.7; NaN
// stays NaN. Reduction by Cody & Waite, polynomial of Cephes expf.
inline float Exp(float x) {
  constexpr float kRoundToInteger = 0x1.8p23f;  // the sum's low bits hold the integer
  const float clamped = x > 88.7f ? 88.7f : x;
  const float shifted = clamped * 1.44269504f + kRoundToInteger;
  const float n = shifted - kRoundToInteger;
  const float r = (clamped - n * 0.693359375f) + n * 2.12194440e-4f;
  float p = 1.9875691500e-4f;
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * (r * r) + r + 1.0f;
  // Half of the power of two first: 2^128 itself is no float.
  const float half_power = std::bit_cast<float>((std::bit_cast<uint32_t>(shifted) + 126u) << 23);
  const float y = p * half_power * 2.0f;
  const float bounded = x < -86.0f ? 0.0f : y;
  return x > 88.7228f ? std::bit_cast<float>(0x7f800000u) : bounded;
}

inline float Sigmoid(float x) { return 1.0f / (1.0f + Exp(-x)); }

inline float Silu(float x) { return x * Sigmoid(x); }

// Sums run in 16 lanes, element i in lane i % 16, then over the lanes as a tree: the order depends
// on nothing but the length.
inline constexpr int kSumLanes = 16;

inline float SumLanes(const float (&lanes)[kSumLanes]) {
  float sum[kSumLanes];
  for (int l = 0; l < kSumLanes; ++l) sum[l] = lanes[l];
  for (int width = kSumLanes / 2; width > 0; width /= 2) {
    for (int l = 0; l < width; ++l) sum[l] += sum[l + width];
  }
  return sum[0];
}

// Sum of term(i) for i in [0, n).
template <typename Term>
inline float FixedOrderSum(int64_t n, const Term& term) {
  float lanes[kSumLanes] = {};
  int64_t i = 0;
  for (; i + kSumLanes <= n; i += kSumLanes) {
    for (int l = 0; l < kSumLanes; ++l) lanes[l] += term(i + l);
  }
  for (int l = 0; i + l < n; ++l) lanes[l] += term(i + l);
  return SumLanes(lanes);
}

// Largest of value(i) for i in [0, n); -infinity when n is 0. NaNs are passed over.
template <typename Value>
inline float Max(int64_t n, const Value& value) {
  float lanes[kSumLanes];
  for (float& lane : lanes) lane = -std::bit_cast<float>(0x7f800000u);
  int64_t i = 0;
  for (; i + kSumLanes <= n; i += kSumLanes) {
    for (int l = 0; l < kSumLanes; ++l) {
      const float v = value(i + l);
      lanes[l] = v > lanes[l] ? v : lanes[l];
    }
  }
  for (int l = 0; i + l < n; ++l) {
    const float v = value(i + l);
    lanes[l] = v > lanes[l] ? v : lanes[l];
  }
  float max = lanes[0];
  for (const float lane : lanes) max = lane > max ? lane : max;
  return max;
}

}  // namespace regatta
