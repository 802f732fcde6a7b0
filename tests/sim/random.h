// SplitMix64 (Steele, Lea and Flood 2014): the same numbers on every platform, so that a printed
// seed repeats a run anywhere.
#pragma once

#include <cstdint>

namespace regatta::sim {

// A bijection that turns related inputs into unrelated outputs.
inline uint64_t Mix(uint64_t x) {
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9u;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EBu;
  return x ^ (x >> 31);
}
inline uint64_t Mix(uint64_t a, uint64_t b) { return Mix(Mix(a + 0x9E3779B97F4A7C15u) ^ b); }

class Random {
 public:
  explicit Random(uint64_t seed) : state_(Mix(seed, 0)) {}
  uint64_t Next() { return Mix(state_ += 0x9E3779B97F4A7C15u); }
  // Uniform in [low, high].
  uint32_t Between(uint32_t low, uint32_t high) {
    return low + static_cast<uint32_t>(Next() % (uint64_t{high} - low + 1));
  }
  bool OneIn(uint32_t n) { return Next() % n == 0; }
  // In [0, 1).
  double Fraction() { return static_cast<double>(Next() >> 11) * 0x1.0p-53; }

 private:
  uint64_t state_;
};

}  // namespace regatta::sim
