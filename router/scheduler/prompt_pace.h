// PromptPace: how fast waiting prompts join sequences that decode. Users of a closed loop who came
// together end together; their next prompts would fill whole steps, in which a token costs up to
// half as much again as one that a step of few sequences carries along, and for which everybody
// waits: of 224 users 211 run. So prompts that follow sequences that ended are dealt out over the
// steps: a little faster than sequences end, and where many decode at least 2,048 tokens a step.
// Prompts of more than 512 tokens are steps of their own whoever shares them, and where the prompts
// of all take many full steps these spread them by themselves. Pure; knows counts alone.
#pragma once

#include <cstdint>

namespace regatta {

class PromptPace {
 public:
  // `step_tokens`: of the largest step.
  explicit PromptPace(uint32_t step_tokens) : step_tokens_(step_tokens) {}

  // A sequence ended after `outputs` tokens; its prompt took `prompt_tokens` to compute.
  void Ended(uint32_t prompt_tokens, uint32_t outputs);

  // A plan begins, in which `decoding` sequences decode, of all that run; `waiting` more wait.
  // There is no pace before a sequence has ended, where nothing decodes, where prompts are longer
  // than 512 tokens on average or those of all who are present would fill more than 12 steps, where
  // over a quarter more than usual are present (newcomers are not made to wait), and once 24 plans
  // have held somebody back, until nobody waits.
  void Begin(uint32_t decoding, uint32_t running, uint32_t waiting);
  // Whether this plan takes another waiting sequence.
  bool Admits() const { return !paced_ || credit_ > 0; }
  // This plan took a sequence with that many tokens to compute.
  void Admitted(uint32_t tokens) {
    if (paced_) credit_ -= tokens;
  }
  // This plan would have taken another one.
  void HeldBack() { ++plans_held_back_; }

 private:
  void NotePresent(uint32_t decoding, uint32_t present);

  const uint32_t step_tokens_;
  uint32_t ended_ = 0;             // sequences, as far as they count for the means
  double mean_prompt_tokens_ = 0;  // of the newest that ended
  double mean_outputs_ = 0;
  double usual_present_ = 0;  // over the newest steps
  bool newcomers_ = false;
  uint32_t plans_held_back_ = 0;  // since nobody waited
  bool paced_ = false;            // this plan
  double credit_ = 0;  // tokens that may be admitted; what a prompt took too much is owed
};

}  // namespace regatta
