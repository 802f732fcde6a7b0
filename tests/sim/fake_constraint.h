// FakeConstraint: an OutputConstraint over a small vocabulary whose mask is a hash of everything
// accepted, so that a token too many, too few or out of order changes every mask after it.
#pragma once

#include <cstdint>

#include "absl/types/span.h"
#include "router/grammar/output_constraint.h"
#include "tests/sim/random.h"

namespace regatta::sim {

inline constexpr uint32_t kMaskedVocab = 64;  // masked draws are below
inline constexpr uint32_t kMaskWords = kMaskedVocab / 32;

class FakeConstraint final : public OutputConstraint {
 public:
  explicit FakeConstraint(uint64_t seed) : state_(Mix(seed, 0x6D61736B)) {}

  // Costs something else each time, most often little.
  MaskCost FillMask(absl::Span<uint32_t> mask, uint64_t) override {
    for (uint32_t& word : mask) word = 0;
    for (uint32_t id = 0; id < kMaskedVocab; ++id) {
      if (Allows(id)) mask[id / 32] |= 1u << (id % 32);
    }
    return {.work = Mix(state_, 1) % 8 == 0 ? Mix(state_, 2) % 1'000'000 : Mix(state_, 2) % 1000};
  }
  bool Accept(uint32_t token) override {
    if (token >= kMaskedVocab || !Allows(token)) return false;
    state_ = Mix(state_, token);
    ++accepted_;
    return true;
  }

  uint32_t accepted() const { return accepted_; }

 private:
  // About a quarter of all ids, and one that always is.
  bool Allows(uint32_t id) const {
    return id == state_ % kMaskedVocab || Mix(state_, id + kMaskedVocab) % 4 == 0;
  }

  uint64_t state_;
  uint32_t accepted_ = 0;
};

}  // namespace regatta::sim
