// StepBatch: the arrays that one step's operations read, as a pure function of a plan and the
// slots.
#pragma once

#include <cstdint>
#include <vector>

#include "kernels/ops.h"
#include "proto/worker.pb.h"
#include "worker/slot_table.h"

namespace regatta {

// Host arrays in the shapes of AttentionBatch and ForwardInput. Reused from step to step.
struct StepBatch {
  std::vector<int32_t> token_ids;       // [T]
  std::vector<int32_t> positions;       // [T]
  std::vector<int64_t> kv_slot;         // [T]
  std::vector<int32_t> query_start;     // [S + 1]
  std::vector<int32_t> context_length;  // [S]
  std::vector<int32_t> block_table;     // [S, block_table_stride]
  int block_table_stride = 0;
  int max_query_length = 0;
  int max_context_length = 0;

  std::vector<int32_t> sample_rows;  // token row of each draw, in plan order
  std::vector<SampleRow> sampling;   // of each draw; points into the slots
  std::vector<int> sample_entries;   // plan entry of each draw

  int num_tokens() const { return static_cast<int>(token_ids.size()); }
  int num_sequences() const { return static_cast<int>(context_length.size()); }
};

// Fills `batch` for a plan that SlotTable::Apply has accepted, before Advance. Ids that were drawn
// in a step whose result this rank does not have are whatever the slot holds.
void BuildBatch(const StepPlan& plan, const SlotTable& slots, StepBatch& batch);

}  // namespace regatta
