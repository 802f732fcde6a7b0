// Philox4x32-10, a counter-based random generator: Salmon, Moraes, Dror, Shaw, "Parallel random
// numbers: as easy as 1, 2, 3" (SC 2011). A draw is a pure function of key and counter, so it is
// the same on every rank, backend, batch and restart.
#pragma once

#include <cstdint>

#include "kernels/host_device.h"

namespace regatta {

struct PhiloxBlock {
  uint32_t word[4];
};

REGATTA_HOST_DEVICE inline PhiloxBlock Philox4x32(PhiloxBlock counter, uint32_t key0,
                                                  uint32_t key1) {
  for (int round = 0; round < 10; ++round) {
    const uint64_t product0 = uint64_t{0xD2511F53u} * counter.word[0];
    const uint64_t product1 = uint64_t{0xCD9E8D57u} * counter.word[2];
    counter = {{static_cast<uint32_t>(product1 >> 32) ^ counter.word[1] ^ key0,
                static_cast<uint32_t>(product1),
                static_cast<uint32_t>(product0 >> 32) ^ counter.word[3] ^ key1,
                static_cast<uint32_t>(product0)}};
    key0 += 0x9E3779B9u;
    key1 += 0xBB67AE85u;
  }
  return counter;
}

// Uniform on [0, 1) with 53 random bits: the draw that belongs to one output position of one
// request.
REGATTA_HOST_DEVICE inline double UniformOf(uint64_t seed, uint32_t output_index) {
  const PhiloxBlock block = Philox4x32({{output_index, 0, 0, 0}}, static_cast<uint32_t>(seed),
                                       static_cast<uint32_t>(seed >> 32));
  const uint64_t bits = (uint64_t{block.word[0]} << 32 | block.word[1]) >> 11;
  return static_cast<double>(bits) * 0x1p-53;
}

// A uniform id below `vocab`, of the same draw.
REGATTA_HOST_DEVICE inline uint32_t RandomId(uint64_t seed, uint32_t output_index, int64_t vocab) {
  return static_cast<uint32_t>(UniformOf(seed, output_index) * static_cast<double>(vocab));
}

}  // namespace regatta
