// Random draws as a function of (seed, stream, index, counter): any draw can be made alone, in any
// order, on any number of machines, and data sets are the same everywhere.
#pragma once

#include <cmath>
#include <cstdint>

namespace regatta {

// Independent sequences of one seed.
enum class RandomStream : uint64_t {
  kInputLength = 1,
  kOutputLength = 2,
  kTokens = 3,
  kTaskId = 4,
  kVariation = 5,
  kOrder = 6,
  kRunOrder = 40,
  kNullWait = 41,
  kNullStart = 42,
  kNullEnd = 43,
};

// SplitMix64's finalizer (Steele, Lea, Flood 2014): a bijection that flips each bit with
// probability one half.
inline uint64_t MixBits(uint64_t x) {
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
  return x ^ (x >> 31);
}

// 64 uniform bits.
inline uint64_t DrawBits(uint64_t seed, RandomStream stream, uint64_t index, uint64_t counter) {
  constexpr uint64_t kGolden = 0x9e3779b97f4a7c15u;
  uint64_t key = MixBits(seed + kGolden);
  key = MixBits(key + kGolden * (static_cast<uint64_t>(stream) + 1));
  key = MixBits(key + kGolden * (index + 1));
  return MixBits(key + kGolden * (counter + 1));
}

// Uniform in [0, bound); `bound` must not be zero. The bias is below bound / 2^64.
inline uint64_t DrawBelow(uint64_t bound, uint64_t seed, RandomStream stream, uint64_t index,
                          uint64_t counter) {
  const auto wide = static_cast<unsigned __int128>(DrawBits(seed, stream, index, counter)) * bound;
  return static_cast<uint64_t>(wide >> 64);
}

// Standard normal (Box and Muller 1958), from counters 0 and 1 of (stream, index).
inline double DrawNormal(uint64_t seed, RandomStream stream, uint64_t index) {
  constexpr double kTwoToMinus53 = 0x1p-53, kTwoPi = 6.283185307179586;
  // In (0, 1], so that the logarithm is finite.
  const double u = ((DrawBits(seed, stream, index, 0) >> 11) + 1) * kTwoToMinus53;
  const double v = (DrawBits(seed, stream, index, 1) >> 11) * kTwoToMinus53;
  return std::sqrt(-2 * std::log(u)) * std::cos(kTwoPi * v);
}

}  // namespace regatta
