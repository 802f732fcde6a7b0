// PrefixCache: finds the block that already holds a given prefix. An index over a BlockPool; the
// tokens behind a key are never looked at. Reusable blocks stay on the pool's free list until their
// space is needed: caching costs no memory that a sequence could use.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/types/span.h"
#include "common/huge_pages.h"
#include "router/scheduler/block_pool.h"
#include "router/scheduler/prefix_cache_key.h"

namespace regatta {

class PrefixCache {
 public:
  // `pool` must outlive the cache. Memory is taken here once: 32 to 64 bytes a block. With
  // `enabled` false nothing is ever found.
  PrefixCache(BlockPool& pool, bool enabled);

  // A blank block from the pool; what the cache knew of its former content is forgotten.
  uint32_t Allocate();
  // As many times `count`; appends to `blocks`.
  void Allocate(uint32_t count, std::vector<uint32_t>& blocks);

  // The block that holds `key`'s content, held or free; BlockPool::kNone when there is none.
  uint32_t Find(const BlockKey& key) const;
  // Appends to `blocks` those of the leading `keys` that are found, up to the first that is not.
  void FindPrefix(absl::Span<const BlockKey> keys, std::vector<uint32_t>& blocks) const;

  // Fetches what Find or Publish of `key` will read first, when that is some time away.
  void Prefetch(const BlockKey& key) const {
    if (!slots_.empty()) __builtin_prefetch(&slots_[TagOf(key) & mask_]);
  }

  // Makes a held block findable from now on. False when an equal one already is; the block then
  // stays private.
  bool Publish(uint32_t block, const BlockKey& key);
  // The same for each of `blocks` that is not findable yet and the key at its place.
  void Publish(absl::Span<const uint32_t> blocks, absl::Span<const BlockKey> keys);

  // CHECK-fails unless the reusable blocks of the pool are exactly those that can be found.
  // O(num_blocks).
  void CheckInvariants() const;

 private:
  // Open addressing, at most a quarter full: a search reads one cache line of slots and, when the
  // tag fits, one key. Removal moves later slots up, so there are neither tombstones nor rehashes
  // and no pause at any size.
  struct Slot {
    uint32_t tag = 0;  // low half of the key; its low bits are where the search begins
    uint32_t block = BlockPool::kNone;
  };

  static uint32_t TagOf(const BlockKey& key) { return static_cast<uint32_t>(key.low); }
  size_t Next(size_t index) const { return (index + 1) & mask_; }
  // The slot of `key`, or the empty one where it would go.
  size_t Search(const BlockKey& key) const;
  void PrefetchCandidate(const BlockKey& key) const;
  void Forget(uint32_t block);

  BlockPool& pool_;
  size_t mask_ = 0;  // number of slots - 1
  std::vector<Slot, HugePageAllocator<Slot>> slots_;
};

}  // namespace regatta
