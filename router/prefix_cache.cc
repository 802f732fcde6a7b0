// Find is the only loop that a hostile prompt could lengthen; keyed hashing keeps the chains short
// (about one block).
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
  buckets_.assign(PowerOfTwoAtLeast(2 * size_t{pool.num_blocks()}), BlockPool::kNone);
  entries_.resize(pool.num_blocks());
}

uint32_t PrefixCache::Allocate() {
  const uint32_t block = pool_.Allocate();
  if (pool_.reusable(block)) Forget(block);
  return block;
}

uint32_t PrefixCache::Find(const BlockKey& key) const {
  if (buckets_.empty()) return BlockPool::kNone;
  uint32_t block = buckets_[key.low & (buckets_.size() - 1)];
  while (block != BlockPool::kNone && !(entries_[block].key == key)) {
    block = entries_[block].next;
  }
  return block;
}

bool PrefixCache::Publish(uint32_t block, const BlockKey& key) {
  if (buckets_.empty() || Find(key) != BlockPool::kNone) return false;
  CHECK(!pool_.reusable(block)) << "block " << block << " is published under another key";
  uint32_t& first = Bucket(key);
  entries_[block] = {key, first};
  first = block;
  pool_.SetReusable(block, true);
  return true;
}

void PrefixCache::Forget(uint32_t block) {
  uint32_t* link = &Bucket(entries_[block].key);
  while (*link != block) link = &entries_[*link].next;
  *link = entries_[block].next;
  pool_.SetReusable(block, false);
}

void PrefixCache::CheckInvariants() const {
  uint32_t reusable = 0, found = 0;
  for (uint32_t block = 0; block < pool_.num_blocks(); ++block) {
    if (!pool_.reusable(block)) continue;
    ++reusable;
    CHECK_EQ(Find(entries_[block].key), block);
  }
  for (uint32_t first : buckets_) {
    for (uint32_t block = first; block != BlockPool::kNone; block = entries_[block].next) ++found;
  }
  CHECK_EQ(found, reusable);
}

}  // namespace regatta
