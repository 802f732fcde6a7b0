// Deals shuffled blocks to sequences and lays out the columns of a step.
#include "tests/kernels/paged_batch.h"

#include <algorithm>
#include <numeric>

namespace regatta {

PagedBatch::PagedBatch(Ops& ops, const std::vector<SequenceShape>& sequences, int block_size,
                       Random& random)
    : sequences_(sequences), block_size_(block_size) {
  int blocks_needed = 0;
  for (const SequenceShape& sequence : sequences) {
    const int blocks = (sequence.context + block_size - 1) / block_size;
    stride_ = std::max(stride_, blocks + 2);
    blocks_needed += blocks;
  }
  num_blocks_ = blocks_needed + 3;
  std::vector<int32_t> free(num_blocks_);
  std::iota(free.begin(), free.end(), 0);
  std::shuffle(free.begin(), free.end(), random);
  query_start_.push_back(0);
  for (size_t s = 0; s < sequences.size(); ++s) {
    const auto [context, length] = sequences[s];
    const size_t row = table_.size();
    block_start_.push_back(static_cast<int32_t>(row));
    table_.resize(row + stride_, -1);  // beyond the context nothing may be read
    for (int b = 0; b * block_size < context; ++b) {
      table_[row + b] = free.back();
      free.pop_back();
    }
    for (int p = context - length; p < context; ++p) {
      positions_.push_back(p);
      sequence_of_.push_back(static_cast<int32_t>(s));
      slots_.push_back(SlotOf(static_cast<int>(s), p));
    }
    query_start_.push_back(static_cast<int32_t>(positions_.size()));
    context_.push_back(context);
    if (length > 1) prompts_.push_back(static_cast<int32_t>(s));
  }
  for (const auto* values :
       {&positions_, &query_start_, &context_, &table_, &block_start_, &prompts_}) {
    device_.emplace_back(ops, *values);
  }
  device_slots_.emplace_back(ops, slots_);
}

int64_t PagedBatch::SlotOf(int sequence, int position) const {
  const int64_t block = table_[sequence * stride_ + position / block_size_];
  return block * block_size_ + position % block_size_;
}

AttentionBatch PagedBatch::batch() const {
  AttentionBatch batch;
  batch.num_tokens = num_tokens();
  batch.num_sequences = static_cast<int>(sequences_.size());
  for (const SequenceShape& sequence : sequences_) {
    batch.max_query_length = std::max(batch.max_query_length, sequence.length);
    batch.max_context_length = std::max(batch.max_context_length, sequence.context);
  }
  batch.positions = device_[0].data();
  batch.query_start = device_[1].data();
  batch.context_length = device_[2].data();
  batch.block_table = device_[3].data();
  batch.block_start = device_[4].data();
  batch.prompts = device_[5].data();
  batch.num_prompts = static_cast<int>(prompts_.size());
  batch.kv_slot = device_slots_[0].data();
  return batch;
}

}  // namespace regatta
