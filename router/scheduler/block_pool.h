// BlockPool: who holds which KV block. Ids, reference counts and free blocks in eviction order;
// every operation is O(1) a block and allocates nothing. Knows no tokens: the key of a block's
// content is a name to it, kept here because whoever looks for content takes the block as well.
//
// A pool of a million blocks does not fit caches. Operations on many blocks at once therefore fetch
// ahead: they wait for memory together, not block after block.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/types/span.h"
#include "common/check.h"
#include "common/huge_pages.h"
#include "router/scheduler/prefix_cache_key.h"

namespace regatta {

class BlockPool {
 public:
  static constexpr uint32_t kNone = UINT32_MAX;

  // `num_blocks` at least one; all are free and blank.
  explicit BlockPool(uint32_t num_blocks);

  // Takes the first block in eviction order: blank ones first, the last freed before others, then
  // reusable ones, least recently freed first. The caller holds its only reference. Its reusable
  // mark is left as it was, so that the caller can forget the content. CHECKs that one is free.
  uint32_t Allocate();
  // As many times `count`; appends to `blocks`.
  void Allocate(uint32_t count, std::vector<uint32_t>& blocks);

  // One more reference each; a free block, which must be reusable, leaves the free ones.
  void Share(absl::Span<const uint32_t> blocks);

  // One reference less; the last one frees the block.
  void Release(uint32_t block);
  // The same for the blocks of a sequence, last first: what depends on a prefix is evicted before
  // the prefix.
  void Release(absl::Span<const uint32_t> blocks);

  // Names the content of a held block, which is worth keeping from now on: the block will be
  // reusable, freed to the far end of the eviction order.
  void SetContent(uint32_t block, const BlockKey& key);
  // Makes a held block blank.
  void ClearContent(uint32_t block);

  // What Allocate would take; kNone when nothing is free.
  uint32_t next_free() const {
    if (!blank_.empty()) return blank_.back();
    const uint32_t block = contents_[num_blocks_].next;
    return block == num_blocks_ ? kNone : block;
  }

  uint32_t num_blocks() const { return num_blocks_; }
  uint32_t free_blocks() const { return static_cast<uint32_t>(blank_.size()) + reusable_free_; }
  uint32_t reusable_free_blocks() const { return reusable_free_; }
  uint32_t references(uint32_t block) const { return states_[block].references; }
  bool reusable(uint32_t block) const { return states_[block].reusable; }
  // The key of a reusable block.
  const BlockKey& content(uint32_t block) const { return contents_[block].key; }

  // Fetches what is known of a block, when it is asked for some time from now.
  void Prefetch(uint32_t block) const {
    __builtin_prefetch(&states_[block]);
    __builtin_prefetch(&contents_[block]);
  }

  // CHECK-fails unless the free blocks are exactly the unreferenced ones, the reusable ones in the
  // list and the others not. O(num_blocks).
  void CheckInvariants() const;

 private:
  static constexpr size_t kAhead = 16;

  struct State {
    uint32_t references : 31;
    uint32_t reusable : 1;
  };

  // Of a reusable block, half a cache line. It is linked while it is free; entry num_blocks_ is the
  // sentinel of the list. `ahead` is a guess, for fetching: the block freed kAhead after this one.
  struct alignas(32) Content {
    BlockKey key;
    uint32_t previous;
    uint32_t next;
    uint32_t ahead;
  };

  void Unlink(uint32_t block);
  void LinkLast(uint32_t block);

  const uint32_t num_blocks_;
  uint32_t reusable_free_ = 0;
  std::vector<State, HugePageAllocator<State>> states_;
  std::vector<Content, HugePageAllocator<Content>> contents_;
  std::vector<uint32_t, HugePageAllocator<uint32_t>> blank_;  // free ones; the last goes first
  std::array<uint32_t, kAhead> newest_;                       // in the list, a ring
  size_t oldest_of_newest_ = 0;
};

}  // namespace regatta
