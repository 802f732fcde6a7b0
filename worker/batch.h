// StepBatch: the arrays that one step's operations read, as a pure function of a plan and the
// slots.
#pragma once

#include <cstdint>
#include <vector>

#include "kernels/ops.h"
#include "proto/worker.pb.h"
#include "worker/slot_table.h"

namespace regatta {

// Given tokens of one sequence whose log-probabilities are wanted.
struct ScoredTokens {
  int count = 0;
  int num_top = 0;  // most likely tokens listed in each place
};

// Host arrays in the shapes of AttentionBatch and ForwardInput. Reused from step to step.
struct StepBatch {
  std::vector<int32_t> token_ids;       // [T]; below 0: the token drawn last for slot -1 - id
  std::vector<int32_t> positions;       // [T]
  std::vector<int64_t> kv_slot;         // [T]
  std::vector<int32_t> query_start;     // [S + 1]
  std::vector<int32_t> context_length;  // [S]
  std::vector<int32_t> block_start;     // [S]
  std::vector<int32_t> block_table;     // as far as this step reads, sequence after sequence
  std::vector<int32_t> prompts;         // sequences with more than one token
  int max_query_length = 0;
  int max_context_length = 0;

  std::vector<int32_t> sample_rows;   // token row of each draw, in plan order
  std::vector<int32_t> sample_slots;  // slot of each draw
  std::vector<SampleRow> sampling;    // of each draw; points into the slots
  int num_masks = 0;                  // draws that await one

  std::vector<ScoredTokens> scored;  // of each entry with LOGITS_ALL
  std::vector<int32_t> scored_rows;  // token rows behind which a given token is scored
  std::vector<int32_t> scored_ids;   // that token

  int num_tokens() const { return static_cast<int>(token_ids.size()); }
  int num_sequences() const { return static_cast<int>(context_length.size()); }
};

// Fills `batch` for a plan that SlotTable::Apply has accepted, before Advance.
void BuildBatch(const StepPlan& plan, const SlotTable& slots, StepBatch& batch);

// One uncached sequence of `tokens` tokens, of which the last one's logits are wanted.
void FillPrompt(int tokens, StepBatch& batch);

// Whether every sequence has one token and draws: what captured graphs are made for.
bool IsDecode(const StepBatch& batch);

// Adds sequences of one token, uncached and not drawn, until there are `size`; an empty batch gets
// the first block.
void PadDecode(int size, StepBatch& batch);

}  // namespace regatta
