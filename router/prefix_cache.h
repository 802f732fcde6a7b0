// PrefixCache: finds the block that already holds a given prefix. An index over a BlockPool; the
// tokens behind a key are never looked at. Reusable blocks stay on the pool's free list until their
// space is needed: caching costs no memory that a sequence could use.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/types/span.h"
#include "router/block_pool.h"
#include "router/prefix_cache_key.h"

namespace regatta {

class PrefixCache {
 public:
  // `pool` must outlive the cache. Memory is taken here once: 32 to 40 bytes a block. With
  // `enabled` false nothing is ever found.
  PrefixCache(BlockPool& pool, bool enabled);

  // A blank block from the pool; what the cache knew of its former content is forgotten.
  uint32_t Allocate();

  // The block that holds `key`'s content, held or free; BlockPool::kNone when there is none.
  uint32_t Find(const BlockKey& key) const;

  // Makes a held block findable from now on. False when an equal one already is; the block then
  // stays private.
  bool Publish(uint32_t block, const BlockKey& key);

  // CHECK-fails unless the reusable blocks of the pool are exactly those that can be found.
  // O(num_blocks).
  void CheckInvariants() const;

 private:
  // Chained hash table threaded through the blocks: no rehash, no tombstones, so no pause at any
  // size.
  uint32_t& Bucket(const BlockKey& key) { return buckets_[key.low & (buckets_.size() - 1)]; }
  void Forget(uint32_t block);

  struct Entry {
    BlockKey key;   // meaningful while the pool calls the block reusable
    uint32_t next;  // in its chain
  };

  BlockPool& pool_;
  std::vector<uint32_t> buckets_;  // first block of each chain
  std::vector<Entry> entries_;     // per block
};

}  // namespace regatta
