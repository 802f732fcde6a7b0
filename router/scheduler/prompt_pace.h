// PromptPace: how fast waiting prompts join sequences that decode. Users of a closed loop who came
// together end together; their next prompts would fill whole steps, in which a token costs up to
// half as much again as one that a step of few sequences carries along, and everybody waits for
// them. So prompts that follow sequences that ended are dealt out over the steps, a little faster
// than sequences end. Pure; knows counts alone.
#pragma once

#include <cstdint>

namespace regatta {

class PromptPace {
 public:
  // A sequence ended after `outputs` tokens; its prompt took `prompt_tokens` to compute.
  void Ended(uint32_t prompt_tokens, uint32_t outputs);

  struct Step {
    uint32_t decoding = 0;      // sequences that decode in it
    uint32_t present = 0;       // sequences that run or wait
    uint32_t stages = 1;        // that take turns with these
    uint64_t waited_steps = 0;  // since the first that waits came
  };
  // A plan begins. There is no pace before a sequence has ended, where nothing decodes, where more
  // are present than of late (who comes on top is not made to wait), where more than 128 share
  // steps, and once the first has waited 24 of its stage's steps.
  void Begin(const Step& step);
  // Whether this plan takes another waiting sequence.
  bool Admits() const { return !paced_ || credit_ > 0; }
  // This plan took a sequence with that many tokens to compute.
  void Admitted(uint32_t tokens) { credit_ -= tokens; }

 private:
  uint32_t ended_ = 0;             // sequences, as far as they count for the means
  double mean_prompt_tokens_ = 0;  // of the newest that ended
  double mean_outputs_ = 0;
  double usual_present_ = 0;  // over the newest steps
  bool paced_ = false;        // this plan
  double credit_ = 0;         // tokens that may be admitted; what a prompt took too much is owed
};

}  // namespace regatta
