// Searches are the only loops that a hostile prompt could lengthen; keyed hashing keeps them short
// (little more than one slot).
#include "router/scheduler/prefix_cache.h"

#include <algorithm>

#include "common/check.h"

namespace regatta {
namespace {

// Of several keys or blocks in a row, each is fetched in two stages, so many places before its
// turn: first the slots, then what they name.
constexpr size_t kFar = 24;
constexpr size_t kNear = 12;

size_t PowerOfTwoAtLeast(size_t n) {
  size_t power = 1;
  while (power < n) power *= 2;
  return power;
}

}  // namespace

PrefixCache::PrefixCache(BlockPool& pool, bool enabled) : pool_(pool) {
  if (!enabled) return;
  slots_.resize(PowerOfTwoAtLeast(4 * size_t{pool.num_blocks()}));
  mask_ = slots_.size() - 1;
}

uint32_t PrefixCache::Allocate() {
  const uint32_t block = pool_.Allocate();
  if (pool_.reusable(block)) Forget(block);
  const uint32_t next = pool_.next_free();  // The next one to be forgotten.
  if (next != BlockPool::kNone && pool_.reusable(next)) Prefetch(pool_.content(next));
  return block;
}

void PrefixCache::Allocate(uint32_t count, std::vector<uint32_t>& blocks) {
  const size_t first = blocks.size();
  pool_.Allocate(count, blocks);
  if (slots_.empty()) return;
  const absl::Span<const uint32_t> taken = absl::MakeConstSpan(blocks).subspan(first);
  for (size_t i = 0; i < std::min<size_t>(kNear, count); ++i) Prefetch(pool_.content(taken[i]));
  for (size_t i = 0; i < count; ++i) {
    if (i + kNear < count) Prefetch(pool_.content(taken[i + kNear]));
    if (pool_.reusable(taken[i])) Forget(taken[i]);
  }
}

size_t PrefixCache::Search(const BlockKey& key) const {
  const uint32_t tag = TagOf(key);
  size_t index = tag & mask_;
  while (slots_[index].block != BlockPool::kNone &&
         !(slots_[index].tag == tag && pool_.content(slots_[index].block) == key)) {
    index = Next(index);
  }
  return index;
}

uint32_t PrefixCache::Find(const BlockKey& key) const {
  return slots_.empty() ? BlockPool::kNone : slots_[Search(key)].block;
}

// What the pool knows of the block that stands where the search begins: most often the one found.
void PrefixCache::PrefetchCandidate(const BlockKey& key) const {
  const Slot& slot = slots_[TagOf(key) & mask_];
  if (slot.block == BlockPool::kNone || slot.tag != TagOf(key)) return;
  pool_.Prefetch(slot.block);
}

void PrefixCache::FindPrefix(absl::Span<const BlockKey> keys, std::vector<uint32_t>& blocks) const {
  if (slots_.empty()) return;
  for (size_t i = 0; i < std::min(kFar, keys.size()); ++i) Prefetch(keys[i]);
  for (size_t i = 0; i < std::min(kNear, keys.size()); ++i) PrefetchCandidate(keys[i]);
  for (size_t i = 0; i < keys.size(); ++i) {
    if (i + kFar < keys.size()) Prefetch(keys[i + kFar]);
    if (i + kNear < keys.size()) PrefetchCandidate(keys[i + kNear]);
    const uint32_t block = slots_[Search(keys[i])].block;
    if (block == BlockPool::kNone) return;
    blocks.push_back(block);
  }
}

bool PrefixCache::Publish(uint32_t block, const BlockKey& key) {
  if (slots_.empty()) return false;
  Slot& slot = slots_[Search(key)];
  if (slot.block != BlockPool::kNone) return false;
  CHECK(!pool_.reusable(block)) << "block " << block << " is published under another key";
  slot = {TagOf(key), block};
  pool_.SetContent(block, key);
  return true;
}

void PrefixCache::Publish(absl::Span<const uint32_t> blocks, absl::Span<const BlockKey> keys) {
  CHECK_EQ(blocks.size(), keys.size());
  for (size_t i = 0; i < blocks.size(); ++i) {
    if (i + kNear < blocks.size()) Prefetch(keys[i + kNear]);
    if (!pool_.reusable(blocks[i])) Publish(blocks[i], keys[i]);
  }
}

// Closes the gap with whatever later slot may stand there: one whose search begins at or before it
// (Knuth, The Art of Computer Programming 3, 6.4, algorithm R).
void PrefixCache::Forget(uint32_t block) {
  size_t gap = TagOf(pool_.content(block)) & mask_;
  while (slots_[gap].block != block) gap = Next(gap);
  for (size_t index = Next(gap); slots_[index].block != BlockPool::kNone; index = Next(index)) {
    if (((index - slots_[index].tag) & mask_) < ((index - gap) & mask_)) continue;
    slots_[gap] = slots_[index];
    gap = index;
  }
  slots_[gap] = {};
  pool_.ClearContent(block);
}

void PrefixCache::CheckInvariants() const {
  uint32_t reusable = 0, found = 0;
  for (uint32_t block = 0; block < pool_.num_blocks(); ++block) {
    if (!pool_.reusable(block)) continue;
    ++reusable;
    CHECK_EQ(Find(pool_.content(block)), block);
  }
  for (const Slot& slot : slots_) found += slot.block != BlockPool::kNone;
  CHECK_EQ(found, reusable);
}

}  // namespace regatta
