// A scheduler whose every plan and result a test sees, with its invariants checked after every
// call.
#pragma once

#include <gtest/gtest.h>

#include <numeric>
#include <optional>
#include <utility>
#include <vector>

#include "router/scheduler/scheduler.h"

namespace regatta {

inline constexpr uint32_t kToken = 7;  // what workers draw unless a test says otherwise

inline SchedulerOptions Options() {
  SchedulerOptions options;
  options.limits.set_max_batch_size(8);
  options.limits.set_max_num_tokens(64);
  options.limits.set_max_seq_len(256);
  options.block_size = 4;
  options.num_blocks = 256;
  return options;
}

inline SequenceSpec Spec(uint64_t id, uint32_t prompt_length, uint32_t max_output_tokens) {
  SequenceSpec spec;
  spec.id = id;
  spec.prompt_length = prompt_length;
  spec.tokens.resize(prompt_length);
  std::iota(spec.tokens.begin(), spec.tokens.end(), static_cast<uint32_t>(id * 1000));
  spec.max_output_tokens = max_output_tokens;
  return spec;
}

// The scheduler with checks after every call.
class Harness {
 public:
  explicit Harness(const SchedulerOptions& options = Options()) : scheduler_(options) {}

  Harness& Add(SequenceSpec spec) {
    const absl::Status status = scheduler_.Add(std::move(spec));
    EXPECT_TRUE(status.ok()) << status;
    scheduler_.CheckInvariants();
    return *this;
  }
  StepPlan Plan() {
    std::optional<StepPlan> plan = scheduler_.NextStep();
    EXPECT_TRUE(plan.has_value());
    scheduler_.CheckInvariants();
    if (plan) inflight_.push_back(*plan);
    return plan.value_or(StepPlan());
  }
  bool Idle() {
    const bool idle = !scheduler_.NextStep().has_value();
    scheduler_.CheckInvariants();
    return idle;
  }
  // Returns the result of the oldest plan in flight.
  std::vector<SequenceEvent> Commit(uint32_t token = kToken) {
    const StepPlan plan = inflight_.front();
    inflight_.erase(inflight_.begin());
    StepResult result;
    result.set_step_id(plan.step_id());
    for (int i = 0; i < plan.slot_size(); ++i) {
      if ((plan.flags(i) & STEP_FLAG_SAMPLE) == 0) continue;
      result.add_slot(plan.slot(i));
      result.add_token(token);
    }
    std::vector<SequenceEvent> events;
    const absl::Status status = scheduler_.Commit(result, events);
    EXPECT_TRUE(status.ok()) << status;
    scheduler_.CheckInvariants();
    return events;
  }
  StepPlan Step(uint32_t token = kToken) {
    StepPlan plan = Plan();
    Commit(token);
    return plan;
  }
  Scheduler* operator->() { return &scheduler_; }

 private:
  Scheduler scheduler_;
  std::vector<StepPlan> inflight_;
};

}  // namespace regatta
