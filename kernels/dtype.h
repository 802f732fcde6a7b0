// Narrow floating types as storage and their conversions: to float32 exactly, from float32 rounding
// to nearest, ties to even. Branch-free bit arithmetic, so that loops over them vectorise on any
// CPU. No arithmetic on the narrow types themselves.
#pragma once

#include <bit>
#include <cstdint>

#include "kernels/tensor.h"

namespace regatta {

struct BFloat16 {
  uint16_t bits;
};
// IEEE 754 binary16.
struct Float16 {
  uint16_t bits;
};
// OCP 8-bit E4M3FN (Micikevicius et al. 2022): no infinity, largest value 448, one NaN pattern per
// sign.
struct Float8E4M3 {
  uint8_t bits;
};

inline float ToFloat(float x) { return x; }

inline float ToFloat(BFloat16 x) { return std::bit_cast<float>(uint32_t{x.bits} << 16); }

// The exponent is rebiased by a multiplication, which also normalises subnormal values.
inline float ToFloat(Float16 x) {
  const uint32_t magnitude = x.bits & 0x7fffu;
  const uint32_t sign = (x.bits & 0x8000u) << 16;
  const float finite = std::bit_cast<float>(magnitude << 13) * 0x1p112f;
  const uint32_t special = (magnitude << 13) | 0x7f800000u;
  const uint32_t bits = magnitude >= 0x7c00u ? special : std::bit_cast<uint32_t>(finite);
  return std::bit_cast<float>(bits | sign);
}

inline float ToFloat(Float8E4M3 x) {
  const uint32_t magnitude = x.bits & 0x7fu;
  const uint32_t sign = (x.bits & 0x80u) << 24;
  const float finite = std::bit_cast<float>(magnitude << 20) * 0x1p120f;
  const uint32_t bits = magnitude == 0x7fu ? 0x7fc00000u : std::bit_cast<uint32_t>(finite);
  return std::bit_cast<float>(bits | sign);
}

template <typename T>
T FromFloat(float x);

template <>
inline float FromFloat<float>(float x) {
  return x;
}

template <>
inline BFloat16 FromFloat<BFloat16>(float x) {
  const uint32_t bits = std::bit_cast<uint32_t>(x);
  const uint32_t rounded = bits + 0x7fffu + ((bits >> 16) & 1u);
  const uint32_t quiet_nan = bits | 0x400000u;
  const bool nan = (bits & 0x7fffffffu) > 0x7f800000u;
  return {static_cast<uint16_t>((nan ? quiet_nan : rounded) >> 16)};
}

// Subnormal results: adding 0.5 aligns the last place of the sum with the type's smallest step, so
// the addition rounds.
template <>
inline Float16 FromFloat<Float16>(float x) {
  const uint32_t bits = std::bit_cast<uint32_t>(x);
  const uint32_t magnitude = bits & 0x7fffffffu;
  const uint32_t normal = (magnitude + 0xfffu + ((magnitude >> 13) & 1u) - (112u << 23)) >> 13;
  const float aligned = std::bit_cast<float>(magnitude) + 0.5f;
  const uint32_t subnormal = std::bit_cast<uint32_t>(aligned) - std::bit_cast<uint32_t>(0.5f);
  uint32_t result = magnitude < 0x38800000u ? subnormal : normal;  // 2^-14
  result = magnitude >= 0x477ff000u ? 0x7c00u : result;            // 65520 rounds to infinity
  result = magnitude > 0x7f800000u ? 0x7e00u : result;
  return {static_cast<uint16_t>(result | ((bits >> 16) & 0x8000u))};
}

// Saturates at 448, as inference formats do; NaN stays NaN.
template <>
inline Float8E4M3 FromFloat<Float8E4M3>(float x) {
  const uint32_t bits = std::bit_cast<uint32_t>(x);
  const uint32_t magnitude = bits & 0x7fffffffu;
  const uint32_t normal = (magnitude + 0x7ffffu + ((magnitude >> 20) & 1u) - (120u << 23)) >> 20;
  const float aligned = std::bit_cast<float>(magnitude) + 0x1p14f;
  const uint32_t subnormal = std::bit_cast<uint32_t>(aligned) - std::bit_cast<uint32_t>(0x1p14f);
  uint32_t result = magnitude < 0x3c800000u ? subnormal : normal;  // 2^-6
  result = magnitude >= 0x43e00000u ? 0x7eu : result;              // 448
  result = magnitude > 0x7f800000u ? 0x7fu : result;
  return {static_cast<uint8_t>(result | ((bits >> 24) & 0x80u))};
}

// CHECK-fails. Out of line, to keep loops small.
[[noreturn]] void UnsupportedDType(DType dtype);

// Calls fn(T{}) with the storage type of an activation dtype: float32, bfloat16 or float16.
template <typename Fn>
void DispatchActivation(DType dtype, const Fn& fn) {
  switch (dtype) {
    case DType::kFloat32:
      return fn(float{});
    case DType::kBFloat16:
      return fn(BFloat16{});
    case DType::kFloat16:
      return fn(Float16{});
    default:
      UnsupportedDType(dtype);
  }
}

// The same for everything that weights and caches may be stored in: also float8.
template <typename Fn>
void DispatchStorage(DType dtype, const Fn& fn) {
  if (dtype == DType::kFloat8E4M3) return fn(Float8E4M3{});
  DispatchActivation(dtype, fn);
}

}  // namespace regatta
