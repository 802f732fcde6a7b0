// Means, credit and exceptions; see prompt_pace.h.
#include "router/scheduler/prompt_pace.h"

#include <algorithm>

namespace regatta {
namespace {

constexpr uint32_t kEndedWindow = 64;  // sequences that the means remember
constexpr double kPresentWindow = 32;  // steps that usual_present_ remembers
constexpr double kGrowth = 1.25;       // more than so many times the usual ones are newcomers
constexpr double kHaste = 2;           // times as fast as sequences end, so that none pile up
// Tokens that any step takes along, so that who comes alone joins. The products of many sequences
// are bound by arithmetic: beside them a prompt costs what it costs alone, and only steps that make
// the others wait for long are to be had smaller.
constexpr uint32_t kFewSequences = 128;
constexpr double kCarriedByFew = 128, kCarriedByMany = 2048;
constexpr uint32_t kPatience = 24;     // plans
constexpr double kShortPrompt = 512;   // tokens, on average
constexpr double kMostFullSteps = 12;  // of a wave that is dealt out

}  // namespace

void PromptPace::Ended(uint32_t prompt_tokens, uint32_t outputs) {
  ended_ = std::min(ended_ + 1, kEndedWindow);
  mean_prompt_tokens_ += (prompt_tokens - mean_prompt_tokens_) / ended_;
  mean_outputs_ += (outputs - mean_outputs_) / ended_;
}

// Where nothing decodes, what was usual is past.
void PromptPace::NotePresent(uint32_t decoding, uint32_t present) {
  if (decoding == 0) usual_present_ = 0;
  newcomers_ = present > kGrowth * usual_present_;
  usual_present_ += (present - usual_present_) / kPresentWindow;
}

void PromptPace::Begin(uint32_t decoding, uint32_t running, uint32_t waiting) {
  const uint32_t present = running + waiting;
  NotePresent(decoding, present);
  if (waiting == 0) plans_held_back_ = 0;
  const bool short_wave = mean_prompt_tokens_ <= kShortPrompt &&
                          present * mean_prompt_tokens_ <= kMostFullSteps * step_tokens_;
  paced_ = ended_ > 0 && decoding > 0 && short_wave && !newcomers_ && plans_held_back_ < kPatience;
  // Each that decodes ends once in mean_outputs_ steps, and a prompt takes its place.
  const double turnover = present * mean_prompt_tokens_ / std::max(mean_outputs_, 1.0);
  const double carried = present <= kFewSequences ? kCarriedByFew : kCarriedByMany;
  const double pace = std::max(kHaste * turnover, carried);
  // An unusually long prompt is not made up for by those behind it.
  const double debt = std::min(-credit_, std::max(kHaste * pace, mean_prompt_tokens_));
  credit_ = paced_ ? std::min(pace - debt, pace) : pace;
}

}  // namespace regatta
