// Plans of a steady load, as a router would send them: so many prompts of one length, then one
// token of each, again and again. Every rank makes the same ones.
#pragma once

#include <cstdint>
#include <optional>
#include <random>
#include <vector>

#include "proto/worker.pb.h"

namespace regatta {

struct LoadShape {
  uint32_t max_batch_size = 0;  // slots
  uint32_t max_num_tokens = 0;  // of one plan
  uint32_t max_seq_len = 0;     // positions of one slot
  uint32_t block_size = 0;
  uint32_t vocab_size = 0;

  uint32_t blocks_per_slot() const { return (max_seq_len + block_size - 1) / block_size; }
  uint32_t num_blocks() const { return blocks_per_slot() * max_batch_size; }
};

class StepPlans {
 public:
  explicit StepPlans(const LoadShape& shape);

  // Sequences so far end, and `batch` prompts of `context` random tokens begin, both with the next
  // plan. CHECK-fails beyond the shape.
  void Begin(uint32_t batch, uint32_t context);
  // The next plan of prompts: as many tokens as one plan may hold. Nothing when all are in.
  std::optional<StepPlan> Fill();
  // One token of every sequence. All prompts must be in.
  StepPlan Decode();
  // The same of a closed loop: a sequence with `output` tokens ends, and the prompt of another
  // comes into its slot in the same plan. First ends are spread over `output` steps, so from then
  // on every step has its share of prompts.
  StepPlan Turn(uint32_t output);

 private:
  StepPlan NextPlan();
  void Admit(uint32_t slot, StepPlan& plan);
  void AddPrompt(uint32_t slot, uint32_t count, StepPlan& plan);
  void AddEntry(uint32_t slot, uint32_t count, uint32_t flags, StepPlan& plan);

  const LoadShape shape_;
  std::mt19937 random_{1};
  std::vector<uint32_t> blocks_;     // of slot s: [s * blocks_per_slot, ...), in random order
  std::vector<uint32_t> positions_;  // by slot: tokens planned
  std::vector<uint32_t> ended_;      // slots to release
  std::vector<uint32_t> ends_;       // by slot: the position at which Turn ends it
  uint32_t context_ = 0;
  uint32_t filling_ = 0;  // the first slot whose prompt is not in
  uint64_t step_ = 0;
};

}  // namespace regatta
