// FakeWorker: executes plans exactly as proto/worker.proto says, with slots, block tables and KV
// content of its own. Refuses every plan that a worker must refuse, and notices what a real one
// cannot: writes into blocks that another sequence reads.
#pragma once

#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "proto/worker.pb.h"
#include "router/scheduler/scheduler.h"

namespace regatta::sim {

class FakeWorker {
 public:
  explicit FakeWorker(const SchedulerOptions& options);

  // Runs one plan with the masks it awaits; `result` as a sampling rank would send it. An error
  // names what is wrong with the plan or the masks.
  absl::Status Run(const StepPlan& plan, const SampleInput& masks, StepResult& result);
  // Of a plan that awaits none.
  absl::Status Run(const StepPlan& plan, StepResult& result) {
    return Run(plan, SampleInput(), result);
  }

 private:
  struct SlotState {
    bool used = false;
    bool sampled = false;  // last_token is valid
    SamplingParams sampling;
    uint32_t prompt_length = 0;
    uint32_t position = 0;  // tokens computed
    uint32_t outputs = 0;   // index of the next draw
    uint32_t last_token = 0;
    uint64_t penalty_row = 0;
    std::vector<uint32_t>
        penalty_tokens;  // as admitted, to be compared with the tokens that follow
    std::vector<uint32_t> blocks;
  };
  struct Entry {
    uint32_t slot, start, count, flags;

    bool given() const { return flags & (STEP_FLAG_INLINE_TOKENS | STEP_FLAG_LOGITS_ALL); }
    bool draws() const { return flags & STEP_FLAG_SAMPLE; }
  };
  // A plan's columns that entries take from in turn.
  struct Cursor {
    const StepPlan& plan;
    std::vector<uint32_t> masks;
    int token = 0;
    size_t mask_word = 0;
  };

  absl::Status Release(uint32_t slot_id);
  absl::Status Admit(const Admission& admission);
  absl::Status CheckColumns(const StepPlan& plan) const;
  absl::Status CheckMasks(const StepPlan& plan, const SampleInput& masks) const;
  absl::Status RunEntry(const Entry& entry, Cursor& cursor, StepResult& result);
  absl::Status AppendBlocks(const StepPlan& plan, int entry, int& next_block);
  absl::Status CheckEntry(const Entry& entry);
  // Writes the next position.
  absl::Status Compute(SlotState& slot, uint32_t token);
  uint32_t Sample(SlotState& slot, absl::Span<const uint32_t> mask);
  uint64_t& Kv(const SlotState& slot, uint32_t position) {
    return kv_[size_t{slot.blocks[position / block_size_]} * block_size_ + position % block_size_];
  }

  const Limits limits_;
  const uint32_t block_size_;
  const uint32_t sampling_rows_;
  uint64_t last_step_ = 0;
  uint32_t used_rows_ = 0;
  std::vector<SlotState> slots_;
  std::vector<uint32_t> block_users_;  // tables that contain the block
  std::vector<uint64_t> kv_;
};

}  // namespace regatta::sim
