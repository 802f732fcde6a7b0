// A plain batcher that runs prompts through a group: what a router would plan, without its policy.
#pragma once

#include <map>
#include <vector>

#include "absl/status/statusor.h"
#include "tests/worker/plan_target.h"

namespace regatta {

struct Prompt {
  std::vector<uint32_t> tokens;
  uint32_t max_tokens = 8;
  SamplingParams sampling;
};

struct Output {
  std::vector<uint32_t> tokens;
  std::vector<Logprobs> logprobs;
};

class PlanDriver {
 public:
  // `chunk` bounds the prompt tokens of one sequence in one step. Decoding plans leave before their
  // inputs are known, as many as the group's max_inflight.
  PlanDriver(PlanTarget& group, uint32_t chunk);

  // Runs all prompts to their max_tokens; slots are taken in order of arrival and used again.
  absl::StatusOr<std::vector<Output>> Generate(const std::vector<Prompt>& prompts);

 private:
  struct Sequence {
    uint32_t index;     // of the prompt
    uint32_t position;  // tokens planned
    uint32_t draws;     // planned
    uint32_t blocks;    // given
  };
  StepPlan Plan(const std::vector<Prompt>& prompts);
  void AddEntry(uint32_t slot, Sequence& sequence, const Prompt& prompt, uint32_t count,
                StepPlan& plan);

  PlanTarget& group_;
  const uint32_t chunk_;
  const uint32_t blocks_per_slot_;
  uint64_t step_ = 0;
  uint32_t next_prompt_ = 0;
  std::map<uint32_t, Sequence> running_;  // by slot
  std::vector<uint32_t> free_slots_;
  std::vector<uint32_t> released_;
};

}  // namespace regatta
