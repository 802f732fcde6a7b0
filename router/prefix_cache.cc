// Searches are the only loops that a hostile prompt could lengthen; keyed hashing keeps them short
// (little more than one slot).
#include "router/prefix_cache.h"

#include "common/check.h"

namespace regatta {
namespace {

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
  keys_.resize(pool.num_blocks());
}

uint32_t PrefixCache::Allocate() {
  const uint32_t block = pool_.Allocate();
  if (pool_.reusable(block)) Forget(block);
  const uint32_t next = pool_.next_free();  // The next one to be forgotten.
  if (next != BlockPool::kNone && pool_.reusable(next)) Prefetch(keys_[next]);
  return block;
}

size_t PrefixCache::Search(const BlockKey& key) const {
  const uint32_t tag = TagOf(key);
  size_t index = tag & mask_;
  while (slots_[index].block != BlockPool::kNone &&
         !(slots_[index].tag == tag && keys_[slots_[index].block] == key)) {
    index = Next(index);
  }
  return index;
}

uint32_t PrefixCache::Find(const BlockKey& key) const {
  return slots_.empty() ? BlockPool::kNone : slots_[Search(key)].block;
}

bool PrefixCache::Publish(uint32_t block, const BlockKey& key) {
  if (slots_.empty()) return false;
  Slot& slot = slots_[Search(key)];
  if (slot.block != BlockPool::kNone) return false;
  CHECK(!pool_.reusable(block)) << "block " << block << " is published under another key";
  slot = {TagOf(key), block};
  keys_[block] = key;
  pool_.SetReusable(block, true);
  return true;
}

// Closes the gap with whatever later slot may stand there: one whose search begins at or before it
// (Knuth, The Art of Computer Programming 3, 6.4, algorithm R).
void PrefixCache::Forget(uint32_t block) {
  size_t gap = TagOf(keys_[block]) & mask_;
  while (slots_[gap].block != block) gap = Next(gap);
  for (size_t index = Next(gap); slots_[index].block != BlockPool::kNone; index = Next(index)) {
    if (((index - slots_[index].tag) & mask_) < ((index - gap) & mask_)) continue;
    slots_[gap] = slots_[index];
    gap = index;
  }
  slots_[gap] = {};
  pool_.SetReusable(block, false);
}

void PrefixCache::CheckInvariants() const {
  uint32_t reusable = 0, found = 0;
  for (uint32_t block = 0; block < pool_.num_blocks(); ++block) {
    if (!pool_.reusable(block)) continue;
    ++reusable;
    CHECK_EQ(Find(keys_[block]), block);
  }
  for (const Slot& slot : slots_) found += slot.block != BlockPool::kNone;
  CHECK_EQ(found, reusable);
}

}  // namespace regatta
