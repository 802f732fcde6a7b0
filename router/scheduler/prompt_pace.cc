// Means, credit and exceptions; see prompt_pace.h.
#include "router/scheduler/prompt_pace.h"

#include <algorithm>

namespace regatta {
namespace {

constexpr uint32_t kEndedWindow = 64;  // sequences that the means remember
constexpr double kPresentWindow = 32;  // steps that usual_present_ remembers
constexpr double kGrowth = 1.25;       // more than so many times the usual ones are newcomers
constexpr double kHaste = 2;           // times as fast as sequences end, so that none pile up
// The products of more are bound by arithmetic: beside them a prompt costs what it costs alone.
constexpr uint32_t kFewSequences = 128;
constexpr uint64_t kPatience = 24;  // steps

}  // namespace

void PromptPace::Ended(uint32_t prompt_tokens, uint32_t outputs) {
  ended_ = std::min(ended_ + 1, kEndedWindow);
  mean_prompt_tokens_ += (prompt_tokens - mean_prompt_tokens_) / ended_;
  mean_outputs_ += (outputs - mean_outputs_) / ended_;
}

void PromptPace::Begin(const Step& step) {
  const bool growing = step.present > kGrowth * usual_present_;
  usual_present_ += (step.present - usual_present_) / kPresentWindow;
  paced_ = ended_ > 0 && step.decoding > 0 && !growing &&
           step.present <= uint64_t{kFewSequences} * step.stages &&
           step.waited_steps < kPatience * step.stages;
  // Each that decodes ends once in mean_outputs_ steps, and a prompt takes its place.
  const double pace =
      kHaste * mean_prompt_tokens_ / std::max(mean_outputs_, 1.0) * step.present / step.stages;
  // An unusually long prompt is not made up for by those behind it.
  const double debt = std::min(-credit_, std::max(kHaste * pace, mean_prompt_tokens_));
  credit_ = paced_ ? std::min(pace - debt, pace) : pace;
}

}  // namespace regatta
