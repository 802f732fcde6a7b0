// SipHash over 32-bit words: tokens are hashed as they lie in memory, without a byte buffer
// between.
#include "router/scheduler/prefix_cache_key.h"

#include <cstddef>

namespace regatta {
namespace {

uint64_t RotateLeft(uint64_t x, int bits) { return (x << bits) | (x >> (64 - bits)); }

class SipState {
 public:
  SipState(uint64_t k0, uint64_t k1)
      : v0_(k0 ^ 0x736f6d6570736575u),
        v1_(k1 ^ 0x646f72616e646f6du ^ 0xee),  // 0xee selects 128-bit output
        v2_(k0 ^ 0x6c7967656e657261u),
        v3_(k1 ^ 0x7465646279746573u) {}

  void Absorb(uint64_t word) {
    v3_ ^= word;
    Rounds(2);
    v0_ ^= word;
  }
  void Absorb(absl::Span<const uint32_t> words) {
    size_t i = 0;
    for (; i + 2 <= words.size(); i += 2) Absorb(words[i] | (uint64_t{words[i + 1]} << 32));
    bytes_ += words.size() * 4;
    tail_ = i < words.size() ? words[i] : 0;
  }
  void AbsorbKey(BlockKey key) {
    Absorb(key.low);
    Absorb(key.high);
    bytes_ += 16;
  }
  BlockKey Finish() {
    Absorb(tail_ | (bytes_ << 56));
    v2_ ^= 0xee;
    Rounds(4);
    const uint64_t low = v0_ ^ v1_ ^ v2_ ^ v3_;
    v1_ ^= 0xdd;
    Rounds(4);
    return {low, v0_ ^ v1_ ^ v2_ ^ v3_};
  }

 private:
  void Rounds(int count) {
    for (int i = 0; i < count; ++i) {
      v0_ += v1_, v1_ = RotateLeft(v1_, 13) ^ v0_, v0_ = RotateLeft(v0_, 32);
      v2_ += v3_, v3_ = RotateLeft(v3_, 16) ^ v2_;
      v0_ += v3_, v3_ = RotateLeft(v3_, 21) ^ v0_;
      v2_ += v1_, v1_ = RotateLeft(v1_, 17) ^ v2_, v2_ = RotateLeft(v2_, 32);
    }
  }

  uint64_t v0_, v1_, v2_, v3_;
  uint64_t bytes_ = 0;
  uint64_t tail_ = 0;
};

}  // namespace

BlockKey MakeBlockKey(uint64_t secret, BlockKey parent, absl::Span<const uint32_t> tokens) {
  SipState state(secret, ~secret);
  state.AbsorbKey(parent);
  state.Absorb(tokens);
  return state.Finish();
}

BlockKey SipHash128(uint64_t k0, uint64_t k1, absl::Span<const uint32_t> words) {
  SipState state(k0, k1);
  state.Absorb(words);
  return state.Finish();
}

}  // namespace regatta
