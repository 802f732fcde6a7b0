// A language model that is a hash: its next token depends on every position it attends to, on the
// seed, the output index and the penalty row. Whatever a worker reads wrongly changes its output.
#pragma once

#include <cstdint>

#include "proto/types.pb.h"
#include "tests/sim/random.h"

namespace regatta::sim {

// Tokens below this one are drawn now and then, and serve as stop ids.
inline constexpr uint32_t kStopTokens = 4;
inline constexpr uint32_t kDrawsPerStopToken = 16;

// What the KV cache holds of one position: a function of the tokens up to it.
inline uint64_t KvEntry(uint64_t previous_entry, uint32_t token) {
  return Mix(previous_entry, token + 1);
}

// Attention over positions in order; begin with 0.
inline uint64_t Attend(uint64_t sum, uint64_t entry) { return Mix(sum, entry); }

// Penalty rows are sums over the tokens of the context, which order does not change.
inline uint64_t PenaltyTerm(uint32_t token) { return Mix(token, 0x70656E); }

inline bool HasPenalty(const SamplingParams& sampling) {
  return (sampling.repetition_penalty() != 0 && sampling.repetition_penalty() != 1) ||
         sampling.presence_penalty() != 0 || sampling.frequency_penalty() != 0;
}

inline uint32_t SampleToken(uint64_t attention, const SamplingParams& sampling,
                            uint32_t output_index, uint64_t penalty_row) {
  uint64_t x = Mix(Mix(attention, sampling.seed()), Mix(output_index, penalty_row));
  uint32_t token = kStopTokens + static_cast<uint32_t>(x >> 33);
  if (x % kDrawsPerStopToken == 0) token = static_cast<uint32_t>(x >> 8) % kStopTokens;
  if (output_index < sampling.min_tokens()) {
    for (const uint32_t suppressed : sampling.suppressed_until_min_tokens()) {
      if (token == suppressed) return kStopTokens + static_cast<uint32_t>(Mix(x) >> 33);
    }
  }
  return token;
}

inline float SampledLogprob(uint32_t token) { return -static_cast<float>(token % 4096); }

// The rank-th likeliest token beside a sampled one, and its log-probability.
inline uint32_t TopToken(uint32_t sampled, uint32_t rank) { return sampled ^ rank; }
inline float TopLogprob(uint32_t sampled, uint32_t rank) {
  return SampledLogprob(sampled) - static_cast<float>(rank);
}

}  // namespace regatta::sim
