// A step's paged context for tests: sequences with blocks scattered over the pool, and a cache that
// is NaN where nothing was written.
#pragma once

#include <vector>

#include "tests/kernels/device_tensor.h"

namespace regatta {

// `length` tokens of the context are this step's queries, at its end.
struct SequenceShape {
  int context;
  int length;
};

struct CacheShape {
  int block_size;
  int num_kv_heads;
  int head_dim;
};

class PagedBatch {
 public:
  PagedBatch(Ops& ops, const std::vector<SequenceShape>& sequences, int block_size, Random& random);

  AttentionBatch batch() const;
  int num_blocks() const { return num_blocks_; }
  int num_tokens() const { return static_cast<int>(positions_.size()); }
  const std::vector<int32_t>& positions() const { return positions_; }
  const std::vector<int32_t>& sequence_of() const { return sequence_of_; }
  // Slot (block * block size + offset) of a position of a sequence.
  int64_t SlotOf(int sequence, int position) const;

 private:
  std::vector<SequenceShape> sequences_;
  int block_size_;
  int num_blocks_ = 0;
  int stride_ = 0;
  std::vector<int32_t> positions_, sequence_of_, query_start_, context_, table_, block_start_,
      prompts_;
  std::vector<int64_t> slots_;
  std::vector<DeviceArray<int32_t>>
      device_;  // positions, query_start, context, table, block_start, prompts
  std::vector<DeviceArray<int64_t>> device_slots_;
};

}  // namespace regatta
