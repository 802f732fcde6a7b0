// Conversions against an independent definition: the nearest of all values of the type, ties to the
// even code.
#include "kernels/dtype.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <vector>

namespace regatta {
namespace {

// Value of a code of a type with `exponent` and `mantissa` bits, from the format's definition.
double ValueOf(uint32_t code, int exponent_bits, int mantissa_bits) {
  const int bias = (1 << (exponent_bits - 1)) - 1;
  const uint32_t mantissa = code & ((1u << mantissa_bits) - 1);
  const int exponent = static_cast<int>(code >> mantissa_bits & ((1u << exponent_bits) - 1));
  const double sign = code >> (exponent_bits + mantissa_bits) & 1 ? -1 : 1;
  if (exponent == 0) return sign * std::ldexp(mantissa, 1 - bias - mantissa_bits);
  return sign * std::ldexp(mantissa + (1u << mantissa_bits), exponent - bias - mantissa_bits);
}

// `max_code`: the largest finite positive code. `next`: what values beyond it round towards.
template <typename T>
struct Format {
  int exponent_bits;
  int mantissa_bits;
  uint32_t max_code;
  uint32_t overflow_code;

  double Value(uint32_t code) const { return ValueOf(code, exponent_bits, mantissa_bits); }

  // The positive code nearest to `x` >= 0; codes rise with their values.
  uint32_t Nearest(double x) const {
    uint32_t low = 0, high = max_code;
    while (low < high) {
      const uint32_t middle = (low + high + 1) / 2;
      if (Value(middle) <= x)
        low = middle;
      else
        high = middle - 1;
    }
    const double below = x - Value(low);
    const double above = Value(low + 1) - x;  // as if the type went on beyond max_code
    const uint32_t nearest = below < above || (below == above && low % 2 == 0) ? low : low + 1;
    return nearest > max_code ? overflow_code : nearest;
  }

  void ExpectRounds(float x) const {
    const uint32_t sign = std::signbit(x) ? (max_code | overflow_code | 1) + 1 : 0;
    const uint32_t sign_bit = 1u << (exponent_bits + mantissa_bits);
    const uint32_t want = Nearest(std::abs(static_cast<double>(x))) | (sign ? sign_bit : 0);
    ASSERT_EQ(FromFloat<T>(x).bits, want) << std::hexfloat << x;
  }
};

const Format<BFloat16> kBrain = {8, 7, 0x7f7f, 0x7f80};
const Format<Float16> kHalf = {5, 10, 0x7bff, 0x7c00};
const Format<Float8E4M3> kFloat8 = {4, 3, 0x7e, 0x7e};

// Every code widens to its value and comes back; midpoints of neighbours and their float neighbours
// round as they should.
template <typename T, typename Bits>
void CheckAllCodes(const Format<T>& format) {
  for (uint32_t code = 0; code <= format.max_code; ++code) {
    const T value{static_cast<Bits>(code)};
    ASSERT_EQ(ToFloat(value), format.Value(code)) << code;
    ASSERT_EQ(FromFloat<T>(ToFloat(value)).bits, code);
    const float middle = static_cast<float>((format.Value(code) + format.Value(code + 1)) / 2);
    for (const float x : {middle, std::nextafter(middle, 0.0f), std::nextafter(middle, INFINITY)}) {
      if (!std::isfinite(x)) continue;
      format.ExpectRounds(x);
      format.ExpectRounds(-x);
    }
  }
}

template <typename T>
void CheckRandom(const Format<T>& format) {
  std::mt19937 random(1);
  for (int i = 0; i < 200000; ++i) {
    const float x = std::bit_cast<float>(static_cast<uint32_t>(random()));
    if (std::isfinite(x)) format.ExpectRounds(x);
  }
}

TEST(DType, BFloat16) {
  CheckAllCodes<BFloat16, uint16_t>(kBrain);
  CheckRandom(kBrain);
  EXPECT_EQ(FromFloat<BFloat16>(INFINITY).bits, 0x7f80);
  EXPECT_TRUE(std::isnan(ToFloat(FromFloat<BFloat16>(NAN))));
  EXPECT_TRUE(std::isnan(ToFloat(FromFloat<BFloat16>(std::bit_cast<float>(0x7f800001u)))));
}

TEST(DType, Float16) {
  CheckAllCodes<Float16, uint16_t>(kHalf);
  CheckRandom(kHalf);
  EXPECT_EQ(FromFloat<Float16>(-INFINITY).bits, 0xfc00);
  EXPECT_EQ(ToFloat(Float16{0x7c00}), INFINITY);
  EXPECT_TRUE(std::isnan(ToFloat(FromFloat<Float16>(NAN))));
  EXPECT_TRUE(std::isnan(ToFloat(Float16{0x7c01})));
}

TEST(DType, Float8SaturatesAndKeepsNan) {
  CheckAllCodes<Float8E4M3, uint8_t>(kFloat8);
  CheckRandom(kFloat8);
  EXPECT_EQ(ToFloat(FromFloat<Float8E4M3>(1e30f)), 448);
  EXPECT_EQ(ToFloat(FromFloat<Float8E4M3>(-INFINITY)), -448);
  EXPECT_TRUE(std::isnan(ToFloat(FromFloat<Float8E4M3>(NAN))));
}

TEST(DType, NamesAreThoseOfConfigFiles) {
  EXPECT_STREQ(DTypeName(DType::kFloat32), "float32");
  EXPECT_STREQ(DTypeName(DType::kBFloat16), "bfloat16");
  EXPECT_STREQ(DTypeName(DType::kFloat16), "float16");
}

}  // namespace
}  // namespace regatta
