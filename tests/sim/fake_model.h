// A language model that is a hash: its next token depends on every position it attends to, on the
// seed, the output index, the penalty row, biases and mask. Whatever a worker reads wrongly changes
// its output.
#pragma once

#include <cstdint>
#include <vector>

#include "absl/types/span.h"
#include "proto/types.pb.h"
#include "tests/sim/fake_constraint.h"
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

// Besides those whose draws await masks.
inline bool NeedsRow(const SamplingParams& sampling) {
  return HasPenalty(sampling) || sampling.bias_token_size() > 0;
}

inline uint64_t BiasTerm(const SamplingParams& sampling) {
  uint64_t term = 0;
  for (int i = 0; i < sampling.bias_token_size(); ++i) {
    term = Mix(term, sampling.bias_token(i) + static_cast<uint64_t>(sampling.bias(i) * 256));
  }
  return term;
}

// One of the ids that the mask allows.
inline uint32_t MaskedToken(uint64_t x, absl::Span<const uint32_t> mask) {
  std::vector<uint32_t> allowed;
  for (uint32_t id = 0; id < kMaskedVocab; ++id) {
    if (mask[id / 32] >> (id % 32) & 1) allowed.push_back(id);
  }
  return allowed.empty() ? 0 : allowed[x % allowed.size()];
}

// `mask` is empty where the draw awaits none.
inline uint32_t SampleToken(uint64_t attention, const SamplingParams& sampling,
                            uint32_t output_index, uint64_t penalty_row,
                            absl::Span<const uint32_t> mask = {}) {
  uint64_t x = Mix(Mix(attention, sampling.seed()), Mix(output_index, penalty_row));
  x ^= BiasTerm(sampling);
  if (!mask.empty()) return MaskedToken(x, mask);
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

// Of a prompt token behind a position with this KV entry.
inline float GivenLogprob(uint64_t kv_entry, uint32_t token) {
  return -static_cast<float>(Mix(kv_entry, token) % 4096);
}

// The rank-th likeliest token beside a sampled or given one, and its log-probability.
inline uint32_t TopToken(uint32_t sampled, uint32_t rank) { return sampled ^ rank; }
inline float TopLogprob(uint32_t sampled, uint32_t rank) {
  return SampledLogprob(sampled) - static_cast<float>(rank);
}

}  // namespace regatta::sim
