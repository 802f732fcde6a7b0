// BlockPool: who holds which KV block. Ids, reference counts and a free list in eviction order;
// every operation is O(1) and allocates nothing. Knows no tokens: which content a block holds is
// the prefix cache's business.
#pragma once

#include <cstdint>
#include <vector>

#include "common/check.h"
#include "common/huge_pages.h"

namespace regatta {

class BlockPool {
 public:
  static constexpr uint32_t kNone = UINT32_MAX;

  // `num_blocks` at least one; all are free and blank.
  explicit BlockPool(uint32_t num_blocks);

  // Takes the first block in eviction order: blank ones first, then reusable ones, least recently
  // freed first. The caller holds its only reference. Its reusable mark is left as it was, so that
  // the caller can forget the content. CHECKs that one is free.
  uint32_t Allocate();

  // One more reference; a free block leaves the free list.
  void Share(uint32_t block);

  // One reference less; the last one puts the block on the free list.
  void Release(uint32_t block);

  // Marks the content of a held block as worth keeping (it is freed to the far end of the eviction
  // order) or not.
  void SetReusable(uint32_t block, bool reusable);

  // What Allocate would take; kNone when nothing is free.
  uint32_t next_free() const {
    const uint32_t block = nodes_[num_blocks_].next;
    return block == num_blocks_ ? kNone : block;
  }

  uint32_t num_blocks() const { return num_blocks_; }
  uint32_t free_blocks() const { return free_blocks_; }  // reusable ones included
  uint32_t reusable_free_blocks() const { return reusable_free_; }
  uint32_t references(uint32_t block) const { return nodes_[block].references; }
  bool reusable(uint32_t block) const { return nodes_[block].reusable; }

  // CHECK-fails unless the free list holds exactly the unreferenced blocks, blank ones first.
  // O(num_blocks).
  void CheckInvariants() const;

 private:
  // Links are meaningful while the block is free; node num_blocks_ is the list's sentinel.
  struct Node {
    uint32_t references : 31;
    uint32_t reusable : 1;
    uint32_t previous;
    uint32_t next;
  };

  void Unlink(uint32_t block);
  void LinkBefore(uint32_t position, uint32_t block);

  const uint32_t num_blocks_;
  uint32_t free_blocks_;
  uint32_t reusable_free_ = 0;
  std::vector<Node, HugePageAllocator<Node>> nodes_;
};

}  // namespace regatta
