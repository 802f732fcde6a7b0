// BlockKey: names the content of a full KV block. Keys and values at a position depend on every
// token before it, so a block's key covers the key of the block before it and its own tokens.
#pragma once

#include <cstdint>

#include "absl/types/span.h"

namespace regatta {

// 128 bits of SipHash-2-4 (Aumasson and Bernstein 2012): accidental collisions are out of the
// question, and without the secret nobody can construct a prompt that hits another's blocks.
struct BlockKey {
  uint64_t low = 0;
  uint64_t high = 0;
  bool operator==(const BlockKey& other) const { return low == other.low && high == other.high; }
};

// Key of the block that holds `tokens` and follows the block named `parent` (BlockKey{} before the
// first block).
BlockKey MakeBlockKey(uint64_t secret, BlockKey parent, absl::Span<const uint32_t> tokens);

// SipHash-2-4 with 128-bit output of the little-endian bytes of `words`, under the key (k0, k1).
BlockKey SipHash128(uint64_t k0, uint64_t k1, absl::Span<const uint32_t> words);

}  // namespace regatta
