// The decoding half of a plan: which sequences draw their next token, who makes room when blocks
// run out, and the plan's columns.
#include <algorithm>
#include <utility>

#include "common/check.h"
#include "router/scheduler/scheduler_impl.h"

namespace regatta {

std::optional<StepPlan> Scheduler::Impl::NextStep() {
  if (inflight_ == records_.size()) return std::nullopt;
  ++round_;
  PlanRecord& record = Record(inflight_);
  record.step_id = step_ + 1;
  record.num_logprobs = 0;
  record.samples.clear();
  record.scored.clear();
  computed_.clear();
  started_.clear();
  awaiting_.clear();
  forecast_built_ = false;

  while (MakeRoom(ChooseDecodes())) {  // Who made room may have been chosen: choose again.
  }
  StepPlan plan;
  PlanDecodes(plan);
  PlanPrompts(plan, options_.limits.max_num_tokens() - static_cast<uint32_t>(chosen_.size()));
  if (plan.slot_size() == 0) return std::nullopt;

  plan.set_step_id(++step_);
  plan.mutable_released_slots()->Add(released_slots_.begin(), released_slots_.end());
  released_slots_.clear();
  PublishPrompts();
  margin_.OnStep();
  ++inflight_;
  return plan;
}

// Fills chosen_; returns the number of blocks that those sequences lack.
uint32_t Scheduler::Impl::ChooseDecodes() {
  chosen_.clear();
  uint32_t decoding = 0;
  bool masked = false;
  const bool pipelined = options_.stages > 1;
  for (uint32_t slot_id = 0; slot_id < end_slot_; ++slot_id) {
    Slot& slot = slots_[slot_id];
    if (slot.free() || !slot.decoding()) continue;
    if (slot.exhausted()) {
      ReleaseSlot(*sequences_[slot.sequence], SequenceState::kDraining);
      ++draining_;
      continue;
    }
    ++decoding;
    if (pipelined && slot.awaited > 0) continue;
    masked |= (slot.draw_flags & STEP_FLAG_AWAITS_MASK) != 0;
    chosen_.push_back(slot_id);
  }
  if (pipelined) TakeCohort(decoding);
  if (masked) TakeMaskTurns();
  uint32_t blocks = 0;
  for (const uint32_t slot_id : chosen_) {
    blocks += slots_[slot_id].position == slots_[slot_id].capacity;
  }
  return blocks;
}

// A pipeline is full when each of its stages works on a cohort: takes the next share of all
// `decoding` sequences, going round the slots.
void Scheduler::Impl::TakeCohort(uint32_t decoding) {
  const uint32_t share = (decoding + options_.stages - 1) / options_.stages;
  if (chosen_.size() <= share) return;
  const auto next = std::lower_bound(chosen_.begin(), chosen_.end(), next_cohort_slot_);
  std::rotate(chosen_.begin(), next, chosen_.end());
  chosen_.resize(share);
}

// Preempts the last in order of service until `blocks` are free. False when nobody had to go.
bool Scheduler::Impl::MakeRoom(uint32_t blocks) {
  if (blocks <= pool_.free_blocks()) return false;
  while (blocks > pool_.free_blocks()) {
    const Slot* last = nullptr;
    for (uint32_t slot_id = 0; slot_id < end_slot_; ++slot_id) {
      const Slot& slot = slots_[slot_id];
      if (!slot.free() && (last == nullptr || last->rank < slot.rank)) last = &slot;
    }
    CHECK(last != nullptr) << "a sequence alone in the pool lacks a block";
    Sequence& victim = *sequences_[last->sequence];
    const bool chosen = std::find(chosen_.begin(), chosen_.end(), victim.slot) != chosen_.end();
    blocks -= chosen && last->position == last->capacity;
    Preempt(victim);
  }
  return true;
}

// Its tokens in flight are still committed; then it is computed again from its tokens.
void Scheduler::Impl::Preempt(Sequence& sequence) {
  ReleaseSlot(sequence, SequenceState::kWaiting);
  waiting_.Push(sequence);
  sequence.probe.round = 0;
  ++sequence.preemptions;
  ++totals_.preemptions;
  margin_.OnPreemption();
}

void Scheduler::Impl::PlanDecodes(StepPlan& plan) {
  const int entries = static_cast<int>(chosen_.size()) + 8;  // a few prompt chunks
  plan.mutable_slot()->Reserve(entries);
  plan.mutable_start()->Reserve(entries);
  plan.mutable_count()->Reserve(entries);
  plan.mutable_flags()->Reserve(entries);
  plan.mutable_new_block_count()->Reserve(entries);
  for (const uint32_t slot_id : chosen_) {
    const Slot& slot = slots_[slot_id];
    if (slot.position == slot.capacity) {
      sequences_[slot.sequence]->blocks.push_back(cache_.Allocate());
    }
    PlanEntry(plan, slot_id, 1, slot.draw_flags);
  }
  if (!chosen_.empty()) next_cohort_slot_ = chosen_.back() + 1;
}

// Appends one sequence's columns and advances it. The workers learn of its blocks up to the last
// position of the entry.
void Scheduler::Impl::PlanEntry(StepPlan& plan, uint32_t slot_id, uint32_t count, uint32_t flags) {
  Slot& slot = slots_[slot_id];
  plan.add_slot(slot_id);
  plan.add_start(slot.position);
  plan.add_count(count);
  plan.add_flags(flags);
  slot.position += count;
  uint32_t new_blocks = 0;
  for (; slot.capacity < slot.position; slot.capacity += block_size_, ++new_blocks) {
    plan.add_new_blocks(sequences_[slot.sequence]->blocks[slot.capacity / block_size_]);
  }
  plan.add_new_block_count(new_blocks);
  slot.last_step = step_ + 1;
  const bool draws = (flags & STEP_FLAG_SAMPLE) != 0;
  const bool scores = (flags & STEP_FLAG_LOGITS_ALL) != 0;
  if (scores) RecordScored(slot, draws ? count - 1 : count);
  if (!draws) return;
  ++slot.total;
  ++slot.awaited;
  PlanRecord& record = Record(inflight_);
  if (slot.logprobs && !scores) ++record.num_logprobs;  // one message for prompt and draw
  record.samples.push_back({slot.rank.arrival, slot.sequence, slot_id,
                            slot.logprobs ? static_cast<int32_t>(record.num_logprobs) - 1 : -1});
  if ((flags & STEP_FLAG_AWAITS_MASK) != 0) {
    awaiting_.push_back(sequences_[slot.sequence]->spec.id);
  }
}

void Scheduler::Impl::RecordScored(const Slot& slot, uint32_t count) {
  PlanRecord& record = Record(inflight_);
  record.scored.push_back({slot.rank.arrival, slot.sequence, record.num_logprobs++, count});
}

}  // namespace regatta
