// SlotTable: what a rank knows of each sequence it holds, advanced by plans alone so that it is the
// same on every rank. Checks every plan against it; knows no device and no token: those drawn are
// on the device, by slot.
#pragma once

#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "kernels/ops.h"
#include "proto/worker.pb.h"

namespace regatta {

struct SlotLimits {
  uint32_t num_slots = 0;       // also the most entries of one plan
  uint32_t max_num_tokens = 0;  // of one plan
  uint32_t max_seq_len = 0;
  uint32_t block_size = 0;
  uint32_t num_blocks = 0;
  uint32_t vocab_size = 0;
  uint32_t sampling_rows = 0;    // of the sample pool
  bool random_next_ids = false;  // see ModelSource

  uint32_t max_blocks_per_slot() const { return (max_seq_len + block_size - 1) / block_size; }
};

struct Slot {
  bool in_use = false;
  bool started = false;     // has had an entry in a plan
  uint32_t position = 0;    // tokens whose keys and values are in the cache
  uint32_t length = 0;      // tokens of the sequence: given at admission, and drawn since
  uint32_t min_tokens = 0;  // until then the ids below cannot be drawn
  std::vector<uint32_t> suppressed;
  int row = -1;                 // of the sample pool, when it needs one for good
  SampleRow sampling;           // output_index is that of the next draw
  std::vector<int32_t> blocks;  // KV block of each block_size positions
  uint64_t drawn_in_step = 0;   // that drew the last token; 0 = the last token was given
};

class SlotTable {
 public:
  explicit SlotTable(const SlotLimits& limits);

  // Checks `plan` against limits and slots, then releases, admits and appends blocks. The error
  // (INVALID_ARGUMENT for a malformed plan, FAILED_PRECONDITION for one that disagrees with this
  // rank's state) names slot, value and limit; the table is unusable after it.
  absl::Status Apply(const StepPlan& plan);
  // After the step's inputs have been taken: its tokens are in the cache, its draws are counted.
  void Advance(const StepPlan& plan);

  const SlotLimits& limits() const { return limits_; }
  const Slot& slot(uint32_t index) const { return slots_[index]; }
  uint64_t last_step() const { return last_step_; }

 private:
  absl::Status CheckColumns(const StepPlan& plan) const;
  absl::Status CheckAwaiting(const StepPlan& plan) const;
  absl::Status CheckTokens(const StepPlan& plan) const;
  absl::Status Release(uint32_t index);
  absl::Status Admit(const Admission& admission);
  absl::Status CheckEntry(const StepPlan& plan, int entry, Slot& slot) const;
  absl::Status AppendBlocks(const StepPlan& plan, int entry, int first_block, Slot& slot) const;
  absl::Status TakeRow(const Admission& admission, Slot& slot);
  absl::Status CheckPenaltyTokens(const Admission& admission, const Slot& slot) const;

  const SlotLimits limits_;
  std::vector<Slot> slots_;
  std::vector<uint64_t> scheduled_in_;  // newest step with an entry of the slot
  std::vector<int> free_rows_;
  uint64_t last_step_ = 0;
};

// What an entry's flags mean for it.
inline bool SamplesAt(const StepPlan& plan, int entry) {
  return (plan.flags(entry) & STEP_FLAG_SAMPLE) != 0;
}
inline bool WantsAllLogits(const StepPlan& plan, int entry) {
  return (plan.flags(entry) & STEP_FLAG_LOGITS_ALL) != 0;
}
inline bool HasInlineTokens(const StepPlan& plan, int entry) {
  return (plan.flags(entry) & (STEP_FLAG_INLINE_TOKENS | STEP_FLAG_LOGITS_ALL)) != 0;
}
inline bool AwaitsMask(const StepPlan& plan, int entry) {
  return (plan.flags(entry) & STEP_FLAG_AWAITS_MASK) != 0;
}
// Whether the token behind the entry's own comes with the plan, to be scored.
inline bool HasFollowingToken(const StepPlan& plan, int entry) {
  return WantsAllLogits(plan, entry) && !SamplesAt(plan, entry);
}

}  // namespace regatta
