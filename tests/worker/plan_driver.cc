// Batching for tests; see plan_driver.h.
#include "tests/worker/plan_driver.h"

#include <algorithm>
#include <deque>

#include "absl/strings/str_cat.h"
#include "common/check.h"

namespace regatta {

PlanDriver::PlanDriver(PlanTarget& group, uint32_t chunk)
    : group_(group),
      chunk_(chunk),
      blocks_per_slot_((group.options().max_seq_len + group.options().block_size - 1) /
                       group.options().block_size) {
  CHECK_GE(group.formed().kv_blocks(), blocks_per_slot_ * group.options().max_batch_size);
  for (uint32_t slot = group.options().max_batch_size; slot > 0; --slot) {
    free_slots_.push_back(slot - 1);
  }
}

void PlanDriver::AddEntry(uint32_t slot, Sequence& sequence, const Prompt& prompt, uint32_t count,
                          StepPlan& plan) {
  const uint32_t prompt_length = static_cast<uint32_t>(prompt.tokens.size());
  const uint32_t start = sequence.position;
  uint32_t flags = STEP_FLAG_NONE;
  if (start < prompt_length) {
    flags |= STEP_FLAG_INLINE_TOKENS;
    for (uint32_t i = start; i < start + count; ++i) plan.add_tokens(prompt.tokens[i]);
  }
  sequence.position += count;
  if (sequence.position >= prompt_length) {
    flags |= STEP_FLAG_SAMPLE;
    ++sequence.draws;
  }
  const uint32_t block_size = group_.options().block_size;
  const uint32_t needed = (sequence.position + block_size - 1) / block_size;
  plan.add_slot(slot);
  plan.add_start(start);
  plan.add_count(count);
  plan.add_flags(flags);
  plan.add_new_block_count(needed - sequence.blocks);
  // Scattered, so that a wrong block table shows.
  const uint32_t total = blocks_per_slot_ * group_.options().max_batch_size;
  for (; sequence.blocks < needed; ++sequence.blocks) {
    const uint32_t block = slot * blocks_per_slot_ + sequence.blocks;
    plan.add_new_blocks(total - 1 - block);
  }
}

StepPlan PlanDriver::Plan(const std::vector<Prompt>& prompts) {
  StepPlan plan;
  plan.set_step_id(++step_);
  for (uint32_t slot : released_) {
    plan.add_released_slots(slot);
    free_slots_.push_back(slot);
  }
  released_.clear();
  while (!free_slots_.empty() && next_prompt_ < prompts.size()) {
    const Prompt& prompt = prompts[next_prompt_];
    const uint32_t slot = free_slots_.back();
    free_slots_.pop_back();
    running_[slot] = {next_prompt_++, 0, 0, 0};
    Admission& admission = *plan.add_admissions();
    admission.set_slot(slot);
    admission.set_prompt_length(static_cast<uint32_t>(prompt.tokens.size()));
    *admission.mutable_sampling() = prompt.sampling;
    const SamplingParams& sampling = prompt.sampling;
    if (sampling.presence_penalty() != 0 || sampling.repetition_penalty() > 1) {
      admission.mutable_penalty_tokens()->Add(prompt.tokens.begin(), prompt.tokens.end());
    }
  }
  uint32_t budget = group_.options().max_num_tokens;
  for (auto it = running_.begin(); it != running_.end() && budget > 0;) {
    auto& [slot, sequence] = *it;
    const Prompt& prompt = prompts[sequence.index];
    const uint32_t prompt_length = static_cast<uint32_t>(prompt.tokens.size());
    const uint32_t left = sequence.position < prompt_length ? prompt_length - sequence.position : 1;
    const uint32_t count = std::min({left, chunk_, budget});
    budget -= count;
    AddEntry(slot, sequence, prompt, count, plan);
    if (sequence.draws == prompt.max_tokens) {
      released_.push_back(slot);
      it = running_.erase(it);
    } else {
      ++it;
    }
  }
  return plan;
}

absl::StatusOr<std::vector<Output>> PlanDriver::Generate(const std::vector<Prompt>& prompts) {
  next_prompt_ = 0;
  std::vector<Output> outputs(prompts.size());
  std::deque<std::vector<uint32_t>> draws_in_flight;  // prompt of each draw, per plan
  while (next_prompt_ < prompts.size() || !running_.empty() || !draws_in_flight.empty()) {
    const bool has_work = next_prompt_ < prompts.size() || !running_.empty();
    if (has_work && draws_in_flight.size() < group_.options().max_inflight) {
      std::map<uint32_t, uint32_t> prompt_of;
      for (const auto& [slot, sequence] : running_) prompt_of[slot] = sequence.index;
      const uint32_t first_new = next_prompt_;
      const StepPlan plan = Plan(prompts);
      for (int i = 0; i < plan.admissions_size(); ++i) {
        prompt_of[plan.admissions(i).slot()] = first_new + i;
      }
      draws_in_flight.emplace_back();
      for (int entry = 0; entry < plan.slot_size(); ++entry) {
        if ((plan.flags(entry) & STEP_FLAG_SAMPLE) == 0) continue;
        draws_in_flight.back().push_back(prompt_of[plan.slot(entry)]);
      }
      group_.Dispatch(plan);
      continue;
    }
    absl::StatusOr<StepResult> result = group_.Next();
    if (!result.ok()) return result.status();
    const std::vector<uint32_t>& draws = draws_in_flight.front();
    CHECK_EQ(result->token_size(), static_cast<int>(draws.size()));
    int next_logprobs = 0;
    for (size_t i = 0; i < draws.size(); ++i) {
      Output& output = outputs[draws[i]];
      output.tokens.push_back(result->token(static_cast<int>(i)));
      if (prompts[draws[i]].sampling.logprobs()) {
        output.logprobs.push_back(result->logprobs(next_logprobs++));
      }
    }
    draws_in_flight.pop_front();
  }
  return outputs;
}

}  // namespace regatta
