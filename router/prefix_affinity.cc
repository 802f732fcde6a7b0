// Hashes of leading blocks; see prefix_affinity.h.
#include "router/prefix_affinity.h"

#include <utility>

#include "absl/hash/hash.h"

namespace regatta {
namespace {

constexpr uint32_t kMaxBlocks = 64;

}  // namespace

std::vector<uint64_t> PrefixAffinity::Hashes(const std::vector<uint32_t>& prompt,
                                             uint32_t length) const {
  std::vector<uint64_t> hashes;
  uint64_t hash = 0;
  uint32_t done = 0;
  for (uint32_t blocks = 1; blocks <= kMaxBlocks && blocks * block_size_ <= length; blocks *= 2) {
    for (; done < blocks * block_size_; ++done) hash = absl::HashOf(hash, prompt[done]);
    hashes.push_back(hash);
  }
  return hashes;
}

std::optional<uint64_t> PrefixAffinity::Find(const std::vector<uint32_t>& prompt,
                                             uint32_t length) const {
  const std::vector<uint64_t> hashes = Hashes(prompt, length);
  for (auto hash = hashes.rbegin(); hash != hashes.rend(); ++hash) {
    for (const auto* generation : {&newer_, &older_}) {
      const auto it = generation->find(*hash);
      if (it != generation->end()) return it->second;
    }
  }
  return std::nullopt;
}

void PrefixAffinity::Remember(const std::vector<uint32_t>& prompt, uint32_t length,
                              uint64_t group) {
  for (const uint64_t hash : Hashes(prompt, length)) newer_[hash] = group;
  if (newer_.size() < capacity_) return;
  older_ = std::exchange(newer_, {});
}

}  // namespace regatta
