// Flattening a plan; see batch.h.
#include "worker/batch.h"

#include <algorithm>

#include "common/check.h"

namespace regatta {
namespace {

void Clear(StepBatch& batch) {
  for (auto* column :
       {&batch.token_ids, &batch.positions, &batch.query_start, &batch.context_length,
        &batch.block_start, &batch.block_table, &batch.prompts, &batch.sample_rows,
        &batch.sample_slots, &batch.scored_rows, &batch.scored_ids}) {
    column->clear();
  }
  batch.kv_slot.clear();
  batch.sampling.clear();
  batch.scored.clear();
  batch.max_query_length = batch.max_context_length = batch.num_masks = 0;
}

void AppendTokens(const StepPlan& plan, int entry, const Slot& slot, int block_size,
                  int& next_inline, StepBatch& batch) {
  const int start = static_cast<int>(plan.start(entry));
  const int end = start + static_cast<int>(plan.count(entry));
  const int32_t drawn = -1 - static_cast<int32_t>(plan.slot(entry));
  for (int position = start; position < end; ++position) {
    const bool given = HasInlineTokens(plan, entry);
    batch.token_ids.push_back(given ? static_cast<int32_t>(plan.tokens(next_inline++)) : drawn);
    batch.positions.push_back(position);
    batch.kv_slot.push_back(int64_t{slot.blocks[position / block_size]} * block_size +
                            position % block_size);
  }
  const int blocks = (end + block_size - 1) / block_size;
  batch.block_start.push_back(static_cast<int32_t>(batch.block_table.size()));
  batch.block_table.insert(batch.block_table.end(), slot.blocks.begin(),
                           slot.blocks.begin() + blocks);
  if (end - start > 1) batch.prompts.push_back(batch.num_sequences());
  batch.context_length.push_back(end);
  batch.query_start.push_back(batch.num_tokens());
  batch.max_query_length = std::max(batch.max_query_length, end - start);
  batch.max_context_length = std::max(batch.max_context_length, end);
}

// Every token of the entry predicts the next one.
void AppendScored(const StepPlan& plan, int entry, const Slot& slot, int& next_inline,
                  StepBatch& batch) {
  const int begin = batch.query_start[entry];
  const int end = batch.query_start[entry + 1];
  for (int row = begin; row < end; ++row) batch.scored_rows.push_back(row);
  batch.scored_ids.insert(batch.scored_ids.end(), batch.token_ids.begin() + begin + 1,
                          batch.token_ids.end());
  if (HasFollowingToken(plan, entry)) {
    batch.scored_ids.push_back(static_cast<int32_t>(plan.tokens(next_inline++)));
  } else {
    batch.scored_rows.pop_back();  // What follows is drawn.
  }
  const int count = end - begin - (HasFollowingToken(plan, entry) ? 0 : 1);
  batch.scored.push_back({count, std::max(0, slot.sampling.num_logprobs)});
}

void AppendDraw(uint32_t index, const Slot& slot, bool awaits_mask, StepBatch& batch) {
  SampleRow row = slot.sampling;
  if (awaits_mask) row.mask_row = batch.num_masks++;
  if (row.output_index < slot.min_tokens) {
    row.suppressed = slot.suppressed.data();
    row.num_suppressed = static_cast<int>(slot.suppressed.size());
  }
  batch.sample_rows.push_back(batch.num_tokens() - 1);
  batch.sample_slots.push_back(static_cast<int32_t>(index));
  batch.sampling.push_back(row);
}

}  // namespace

void BuildBatch(const StepPlan& plan, const SlotTable& slots, StepBatch& batch) {
  Clear(batch);
  const int block_size = static_cast<int>(slots.limits().block_size);
  const int entries = plan.slot_size();
  int next_inline = 0;
  batch.query_start.push_back(0);
  for (int entry = 0; entry < entries; ++entry) {
    const uint32_t index = plan.slot(entry);
    const Slot& slot = slots.slot(index);
    AppendTokens(plan, entry, slot, block_size, next_inline, batch);
    if (WantsAllLogits(plan, entry)) AppendScored(plan, entry, slot, next_inline, batch);
    if (SamplesAt(plan, entry)) AppendDraw(index, slot, AwaitsMask(plan, entry), batch);
  }
  CHECK_EQ(next_inline, plan.tokens_size());
}

void FillPrompt(int tokens, StepBatch& batch) {
  Clear(batch);
  batch.token_ids.assign(tokens, 0);
  batch.positions.assign(tokens, 0);
  batch.kv_slot.assign(tokens, -1);
  batch.query_start = {0, tokens};
  batch.context_length = {1};
  batch.block_start = batch.block_table = {0};
  if (tokens > 1) batch.prompts = {0};
  batch.sample_rows = {tokens - 1};
  batch.sample_slots = {0};
  batch.max_query_length = tokens;
  batch.max_context_length = 1;
}

bool IsDecode(const StepBatch& batch) {
  return batch.num_tokens() > 0 && batch.max_query_length == 1 &&
         batch.sample_rows.size() == batch.token_ids.size();
}

void PadDecode(int size, StepBatch& batch) {
  if (batch.query_start.empty()) batch.query_start.push_back(0);
  if (batch.block_table.empty()) batch.block_table.push_back(0);
  while (batch.num_sequences() < size) {
    batch.token_ids.push_back(0);
    batch.positions.push_back(0);
    batch.kv_slot.push_back(-1);
    batch.sample_rows.push_back(batch.num_tokens() - 1);
    batch.sample_slots.push_back(0);
    batch.query_start.push_back(batch.num_tokens());
    batch.context_length.push_back(1);
    batch.block_start.push_back(0);
  }
  batch.max_query_length = 1;
  batch.max_context_length = std::max(batch.max_context_length, 1);
}

}  // namespace regatta
