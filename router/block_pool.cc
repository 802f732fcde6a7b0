// The free list is doubly linked through the blocks themselves, so that a prefix hit can take a
// block out of its middle.
#include "router/block_pool.h"

namespace regatta {

BlockPool::BlockPool(uint32_t num_blocks)
    : num_blocks_(num_blocks), free_blocks_(num_blocks), nodes_(size_t{num_blocks} + 1) {
  CHECK(num_blocks > 0 && num_blocks < kNone) << "num_blocks is " << num_blocks;
  for (uint32_t i = 0; i <= num_blocks; ++i) {
    nodes_[i] = {0, 0, i == 0 ? num_blocks : i - 1, i == num_blocks ? 0 : i + 1};
  }
}

uint32_t BlockPool::Allocate() {
  CHECK_GT(free_blocks_, 0u);
  const uint32_t block = nodes_[num_blocks_].next;
  Unlink(block);
  nodes_[block].references = 1;
  return block;
}

void BlockPool::Share(uint32_t block) {
  if (nodes_[block].references == 0) Unlink(block);
  ++nodes_[block].references;
}

void BlockPool::Release(uint32_t block) {
  Node& node = nodes_[block];
  CHECK_GT(node.references, 0u) << "block " << block;
  if (--node.references > 0) return;
  // Blank blocks go to the front: the one freed last is reused first, and no reusable one is
  // evicted before them.
  LinkBefore(node.reusable ? num_blocks_ : nodes_[num_blocks_].next, block);
}

void BlockPool::SetReusable(uint32_t block, bool reusable) {
  CHECK_GT(nodes_[block].references, 0u) << "block " << block;
  nodes_[block].reusable = reusable;
}

void BlockPool::Unlink(uint32_t block) {
  const Node& node = nodes_[block];
  nodes_[node.previous].next = node.next;
  nodes_[node.next].previous = node.previous;
  --free_blocks_;
  reusable_free_ -= node.reusable;
}

void BlockPool::LinkBefore(uint32_t position, uint32_t block) {
  Node& node = nodes_[block];
  node.next = position;
  node.previous = nodes_[position].previous;
  nodes_[node.previous].next = block;
  nodes_[position].previous = block;
  ++free_blocks_;
  reusable_free_ += node.reusable;
}

void BlockPool::CheckInvariants() const {
  uint32_t count = 0, reusable = 0;
  for (uint32_t block = nodes_[num_blocks_].next; block != num_blocks_;
       block = nodes_[block].next) {
    const Node& node = nodes_[block];
    CHECK_EQ(uint32_t{node.references}, 0u) << "free block " << block << " is referenced";
    CHECK_EQ(nodes_[node.next].previous, block);
    CHECK(node.reusable || reusable == 0) << "blank block " << block << " behind a reusable one";
    reusable += node.reusable;
    CHECK_LE(++count, num_blocks_);
  }
  CHECK_EQ(count, free_blocks_);
  CHECK_EQ(reusable, reusable_free_);
  uint32_t unreferenced = 0;
  for (uint32_t block = 0; block < num_blocks_; ++block) {
    unreferenced += nodes_[block].references == 0;
  }
  CHECK_EQ(unreferenced, free_blocks_);
}

}  // namespace regatta
