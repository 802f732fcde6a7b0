// Reusable free blocks are doubly linked through themselves, so that a prefix hit can take a block
// out of the middle; blank ones are a stack.
#include "router/scheduler/block_pool.h"

namespace regatta {

BlockPool::BlockPool(uint32_t num_blocks)
    : num_blocks_(num_blocks),
      states_(num_blocks, State{}),
      contents_(size_t{num_blocks} + 1, Content{}),
      blank_(num_blocks) {
  CHECK(num_blocks > 0 && num_blocks < kNone) << "num_blocks is " << num_blocks;
  contents_[num_blocks].previous = contents_[num_blocks].next = num_blocks;
  newest_.fill(num_blocks);
  for (uint32_t i = 0; i < num_blocks; ++i) blank_[i] = num_blocks - 1 - i;
}

uint32_t BlockPool::Allocate() {
  const uint32_t block = next_free();
  CHECK_NE(block, kNone) << "none of " << num_blocks_ << " blocks is free";
  if (blank_.empty()) {
    Unlink(block);
  } else {
    blank_.pop_back();
  }
  states_[block].references = 1;
  return block;
}

void BlockPool::Allocate(uint32_t count, std::vector<uint32_t>& blocks) {
  for (uint32_t i = 0; i < count; ++i) {
    if (blank_.empty()) {
      Prefetch(contents_[contents_[num_blocks_].next].ahead);
    } else if (blank_.size() > kAhead) {
      __builtin_prefetch(&states_[blank_[blank_.size() - 1 - kAhead]]);
    }
    blocks.push_back(Allocate());
  }
}

void BlockPool::Share(absl::Span<const uint32_t> blocks) {
  for (size_t i = 0; i < blocks.size(); ++i) {
    if (i + kAhead < blocks.size()) Prefetch(blocks[i + kAhead]);
    State& state = states_[blocks[i]];
    if (state.references == 0) Unlink(blocks[i]);
    ++state.references;
  }
}

void BlockPool::Release(uint32_t block) {
  State& state = states_[block];
  CHECK_GT(uint32_t{state.references}, 0u) << "block " << block;
  if (--state.references > 0) return;
  if (state.reusable) {
    LinkLast(block);
  } else {
    blank_.push_back(block);
  }
}

void BlockPool::Release(absl::Span<const uint32_t> blocks) {
  for (size_t i = blocks.size(); i-- > 0;) {
    if (i >= kAhead) Prefetch(blocks[i - kAhead]);
    Release(blocks[i]);
  }
}

void BlockPool::SetContent(uint32_t block, const BlockKey& key) {
  CHECK_GT(references(block), 0u) << "block " << block;
  states_[block].reusable = true;
  contents_[block].key = key;
}

void BlockPool::ClearContent(uint32_t block) {
  CHECK_GT(references(block), 0u) << "block " << block;
  states_[block].reusable = false;
}

void BlockPool::Unlink(uint32_t block) {
  CHECK(reusable(block)) << "free block " << block << " is blank";
  const Content& links = contents_[block];
  contents_[links.previous].next = links.next;
  contents_[links.next].previous = links.previous;
  --reusable_free_;
}

void BlockPool::LinkLast(uint32_t block) {
  Content& links = contents_[block];
  Content& sentinel = contents_[num_blocks_];
  links.next = num_blocks_;
  links.previous = sentinel.previous;
  contents_[links.previous].next = block;
  sentinel.previous = block;
  ++reusable_free_;
  uint32_t& earlier = newest_[oldest_of_newest_++ % kAhead];
  contents_[earlier].ahead = block;
  earlier = block;
}

void BlockPool::CheckInvariants() const {
  uint32_t listed = 0;
  for (uint32_t block = contents_[num_blocks_].next; block != num_blocks_;
       block = contents_[block].next) {
    CHECK_EQ(references(block), 0u) << "free block " << block << " is referenced";
    CHECK(reusable(block)) << "blank block " << block << " among reusable ones";
    CHECK_EQ(contents_[contents_[block].next].previous, block);
    CHECK_LE(++listed, num_blocks_);
  }
  CHECK_EQ(listed, reusable_free_);
  for (const uint32_t block : blank_) {
    CHECK(references(block) == 0 && !reusable(block)) << "block " << block;
  }
  uint32_t unreferenced = 0;
  for (uint32_t block = 0; block < num_blocks_; ++block) unreferenced += references(block) == 0;
  CHECK_EQ(unreferenced, free_blocks());
}

}  // namespace regatta
