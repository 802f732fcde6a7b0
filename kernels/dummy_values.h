// Dummy weights: elements from a formula of their number alone, so that every backend, layout and
// slice holds the same model. Close to normal around 0.
#pragma once

#include <cstdint>

#include "kernels/host_device.h"
#include "kernels/tensor.h"

namespace regatta {

// The elements of a rectangle of a tensor, numbered row by row over the whole tensor.
struct DummyValues {
  uint64_t key = 0;     // of the tensor: seed and name
  uint64_t first = 0;   // number of the rectangle's first element
  uint64_t pitch = 0;   // columns of the whole tensor
  float deviation = 0;  // 0 = every element is 1, as norms are
};

// The finaliser of SplitMix64 (Steele, Lea, Flood 2014): a counter through it is a generator whose
// n-th value costs two multiplications, and no state.
REGATTA_HOST_DEVICE inline uint64_t MixBits(uint64_t x) {
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
  return x ^ (x >> 31);
}

// The sum of four random bytes, moved to mean 0 and standard deviation 1. One division and no sum
// of a product: every compiler gives the same bits.
REGATTA_HOST_DEVICE inline float RoughlyNormal(uint32_t bits) {
  const uint32_t pairs = (bits & 0x00ff00ffu) + ((bits >> 8) & 0x00ff00ffu);
  const int sum = static_cast<int>((pairs & 0xffffu) + (pairs >> 16));
  constexpr float kMean = 510.0f;
  constexpr float kDeviation = 147.8f;  // sqrt(4 (256^2 - 1) / 12)
  return (static_cast<float>(sum) - kMean) / kDeviation;
}

// Element `index` of the whole tensor, before rounding to its dtype.
REGATTA_HOST_DEVICE inline float DummyValueAt(const DummyValues& values, uint64_t index) {
  if (values.deviation == 0) return 1;
  const uint64_t pair = values.key + (index >> 1) * 0x9e3779b97f4a7c15ull;  // two elements of each
  const uint32_t half = static_cast<uint32_t>(MixBits(pair) >> ((index & 1) * 32));
  return RoughlyNormal(half) * values.deviation;
}

// Writes the rectangle to host memory `out` (a vector, or a matrix of any row stride), rounding to
// its dtype: float32, bfloat16, float16 or E4M3. One thread.
void FillDummyOnHost(const Tensor& out, const DummyValues& values);

}  // namespace regatta
