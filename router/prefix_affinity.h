// PrefixAffinity: remembers which group last computed a prompt's leading blocks, so that prompts
// that share them meet its cache. A hint only: bounded memory, forgets the oldest.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "absl/container/flat_hash_map.h"

namespace regatta {

class PrefixAffinity {
 public:
  // At most 2 x `capacity` prefixes are kept. Prefixes are 1, 2, 4, ... 64 blocks of `block_size`
  // tokens long.
  PrefixAffinity(uint32_t block_size, size_t capacity)
      : block_size_(block_size), capacity_(capacity) {}

  // The group of the longest remembered prefix of `prompt` (its first `length` tokens).
  std::optional<uint64_t> Find(const std::vector<uint32_t>& prompt, uint32_t length) const;
  void Remember(const std::vector<uint32_t>& prompt, uint32_t length, uint64_t group);

 private:
  std::vector<uint64_t> Hashes(const std::vector<uint32_t>& prompt, uint32_t length) const;

  uint32_t block_size_;
  size_t capacity_;
  // Two generations: when the newer is full it becomes the older, and what was older is forgotten.
  absl::flat_hash_map<uint64_t, uint64_t> newer_, older_;
};

}  // namespace regatta
