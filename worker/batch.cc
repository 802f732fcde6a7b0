// Flattening a plan; see batch.h.
#include "worker/batch.h"

#include <algorithm>

#include "common/check.h"

namespace regatta {
namespace {

void Clear(StepBatch& batch) {
  for (auto* column : {&batch.token_ids, &batch.positions, &batch.query_start,
                       &batch.context_length, &batch.block_table, &batch.sample_rows}) {
    column->clear();
  }
  batch.kv_slot.clear();
  batch.sampling.clear();
  batch.sample_entries.clear();
  batch.block_table_stride = batch.max_query_length = batch.max_context_length = 0;
}

void AppendTokens(const StepPlan& plan, int entry, const Slot& slot, int block_size,
                  int& next_inline, StepBatch& batch) {
  const int start = static_cast<int>(plan.start(entry));
  const int end = start + static_cast<int>(plan.count(entry));
  for (int position = start; position < end; ++position) {
    const uint32_t id = HasInlineTokens(plan, entry) ? plan.tokens(next_inline++) : slot.last_token;
    batch.token_ids.push_back(static_cast<int32_t>(id));
    batch.positions.push_back(position);
    batch.kv_slot.push_back(int64_t{slot.blocks[position / block_size]} * block_size +
                            position % block_size);
  }
  batch.context_length.push_back(end);
  batch.query_start.push_back(batch.num_tokens());
  batch.max_query_length = std::max(batch.max_query_length, end - start);
  batch.max_context_length = std::max(batch.max_context_length, end);
}

void AppendDraw(int entry, const Slot& slot, StepBatch& batch) {
  SampleRow row = slot.sampling;
  if (row.output_index < slot.min_tokens) {
    row.suppressed = slot.suppressed.data();
    row.num_suppressed = static_cast<int>(slot.suppressed.size());
  }
  batch.sample_rows.push_back(batch.num_tokens() - 1);
  batch.sampling.push_back(row);
  batch.sample_entries.push_back(entry);
}

}  // namespace

void BuildBatch(const StepPlan& plan, const SlotTable& slots, StepBatch& batch) {
  Clear(batch);
  const int block_size = static_cast<int>(slots.limits().block_size);
  const int entries = plan.slot_size();
  int next_inline = 0;
  batch.query_start.push_back(0);
  for (int entry = 0; entry < entries; ++entry) {
    const Slot& slot = slots.slot(plan.slot(entry));
    AppendTokens(plan, entry, slot, block_size, next_inline, batch);
    if (SamplesAt(plan, entry)) AppendDraw(entry, slot, batch);
  }
  CHECK_EQ(next_inline, plan.tokens_size());
  batch.block_table_stride = (batch.max_context_length + block_size - 1) / block_size;
  batch.block_table.resize(static_cast<size_t>(entries) * batch.block_table_stride, 0);
  for (int entry = 0; entry < entries; ++entry) {
    const std::vector<int32_t>& blocks = slots.slot(plan.slot(entry)).blocks;
    const size_t used = std::min<size_t>(blocks.size(), batch.block_table_stride);
    std::copy_n(blocks.begin(), used,
                batch.block_table.begin() + entry * static_cast<size_t>(batch.block_table_stride));
  }
}

}  // namespace regatta
