// Columns of plans; see step_plans.h.
#include "tests/bench/step/step_plans.h"

#include <algorithm>
#include <numeric>

#include "common/check.h"

namespace regatta {

// Blocks in random order, as a pool that has served for a while hands them out.
StepPlans::StepPlans(const LoadShape& shape) : shape_(shape), blocks_(shape.num_blocks()) {
  std::iota(blocks_.begin(), blocks_.end(), 0);
  std::shuffle(blocks_.begin(), blocks_.end(), random_);
}

void StepPlans::Begin(uint32_t batch, uint32_t context) {
  CHECK_LE(batch, shape_.max_batch_size);
  CHECK_LE(context, shape_.max_seq_len);
  for (uint32_t slot = 0; slot < positions_.size(); ++slot) ended_.push_back(slot);
  positions_.assign(batch, 0);
  ends_.clear();
  context_ = context;
  filling_ = 0;
}

StepPlan StepPlans::NextPlan() {
  StepPlan plan;
  plan.set_step_id(++step_);
  for (const uint32_t slot : ended_) plan.add_released_slots(slot);
  ended_.clear();
  return plan;
}

std::optional<StepPlan> StepPlans::Fill() {
  if (filling_ == positions_.size()) return std::nullopt;
  StepPlan plan = NextPlan();
  uint32_t budget = shape_.max_num_tokens;
  while (budget > 0 && filling_ < positions_.size()) {
    const uint32_t slot = filling_;
    if (positions_[slot] == 0) Admit(slot, plan);
    const uint32_t count = std::min(budget, context_ - positions_[slot]);
    AddPrompt(slot, count, plan);
    budget -= count;
    if (positions_[slot] == context_) ++filling_;
  }
  return plan;
}

void StepPlans::Admit(uint32_t slot, StepPlan& plan) {
  Admission& admission = *plan.add_admissions();
  admission.set_slot(slot);
  admission.set_prompt_length(context_);
}

// The next `count` tokens of a prompt.
void StepPlans::AddPrompt(uint32_t slot, uint32_t count, StepPlan& plan) {
  const bool whole = positions_[slot] + count == context_;
  AddEntry(slot, count, STEP_FLAG_INLINE_TOKENS | (whole ? STEP_FLAG_SAMPLE : 0), plan);
  for (uint32_t i = 0; i < count; ++i) plan.add_tokens(random_() % shape_.vocab_size);
}

StepPlan StepPlans::Turn(uint32_t output) {
  CHECK_EQ(filling_, positions_.size());
  const uint32_t batch = positions_.size();
  while (ends_.size() < batch) ends_.push_back(context_ + ends_.size() * output / batch);
  StepPlan plan = NextPlan();
  std::vector<uint32_t> fresh;
  for (uint32_t slot = 0; slot < batch; ++slot) {
    if (positions_[slot] < ends_[slot]) {
      AddEntry(slot, 1, STEP_FLAG_SAMPLE, plan);
      continue;
    }
    plan.add_released_slots(slot);
    positions_[slot] = 0;
    ends_[slot] = context_ + output - 1;
    fresh.push_back(slot);
  }
  for (const uint32_t slot : fresh) {
    Admit(slot, plan);
    AddPrompt(slot, context_, plan);
  }
  CHECK_LE(plan.tokens_size() + batch - fresh.size(), shape_.max_num_tokens);
  return plan;
}

StepPlan StepPlans::Decode() {
  CHECK_EQ(filling_, positions_.size());
  StepPlan plan = NextPlan();
  for (uint32_t slot = 0; slot < positions_.size(); ++slot) {
    AddEntry(slot, 1, STEP_FLAG_SAMPLE, plan);
  }
  return plan;
}

void StepPlans::AddEntry(uint32_t slot, uint32_t count, uint32_t flags, StepPlan& plan) {
  const auto blocks_of = [&](uint32_t tokens) {
    return (tokens + shape_.block_size - 1) / shape_.block_size;
  };
  const uint32_t held = blocks_of(positions_[slot]), needed = blocks_of(positions_[slot] + count);
  CHECK_LE(needed, shape_.blocks_per_slot());
  plan.add_slot(slot);
  plan.add_start(positions_[slot]);
  plan.add_count(count);
  plan.add_flags(flags);
  plan.add_new_block_count(needed - held);
  for (uint32_t block = held; block < needed; ++block) {
    plan.add_new_blocks(blocks_[slot * shape_.blocks_per_slot() + block]);
  }
  positions_[slot] += count;
}

}  // namespace regatta
