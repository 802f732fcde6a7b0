// The constraint of one sequence over a shared grammar; see grammar.h.
#include "router/grammar/grammar.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/check.h"
#include "router/grammar/schema_error.h"

namespace regatta::grammar {
namespace {

absl::Status TooMuchWork() {
  return SchemaError("#", absl::StrCat("has masks that need more work than ", kMaxWorkCredit,
                                       " visits of automaton states and ", kWorkPerMask,
                                       " more a token; simplify its patterns and alternatives"));
}

}  // namespace

class SequenceConstraint final : public OutputConstraint {
 public:
  explicit SequenceConstraint(std::shared_ptr<Grammar> grammar) : grammar_(std::move(grammar)) {
    absl::MutexLock lock(&grammar_->mutex_);
    top_ = {grammar_->automaton_.start(), 0, kNone};
    grammar_->sequences_.insert(this);
  }

  ~SequenceConstraint() override {
    absl::MutexLock lock(&grammar_->mutex_);
    grammar_->sequences_.erase(this);
  }

  MaskCost FillMask(absl::Span<uint32_t> mask, uint64_t work) override {
    const TokenTable& tokens = *grammar_->tokens_;
    CHECK_EQ(mask.size(), tokens.mask_words());
    absl::MutexLock lock(&grammar_->mutex_);
    if (at_start_ && !grammar_->first_mask_.empty()) {
      std::copy(grammar_->first_mask_.begin(), grammar_->first_mask_.end(), mask.begin());
      return {};
    }
    MaskCost cost;
    if (ended_) {
      std::fill(mask.begin(), mask.end(), 0);
    } else {
      grammar_->Trim();
      cost = FillFromGrammar(mask, work);
    }
    // A vocabulary without a token for some byte may not be able to go on: then the text ends.
    stuck_ = std::all_of(mask.begin(), mask.end(), [](uint32_t word) { return word == 0; });
    if (!MayEnd()) return cost;
    for (uint32_t token : tokens.end_tokens()) mask[token / 32] |= uint32_t{1} << token % 32;
    return cost;
  }

  bool Accept(uint32_t token) override {
    const TokenTable& tokens = *grammar_->tokens_;
    absl::MutexLock lock(&grammar_->mutex_);
    if (tokens.IsEndToken(token)) {
      ended_ |= MayEnd();
      return ended_;
    }
    const std::string_view bytes = tokens.TokenBytes(token);
    if (ended_ || bytes.empty()) return false;
    // The mask has taken most of these steps, or has forgotten them since.
    grammar_->automaton_.SetWork(kMaxMaskWork);
    const bool accepted = Take(bytes);
    if (!accepted && grammar_->automaton_.out_of_work()) overran_ = Overrun::kGrammar;
    return accepted;
  }

  absl::Status status() const override {
    absl::MutexLock lock(&grammar_->mutex_);
    switch (overran_) {
      case Overrun::kNone:
        return absl::OkStatus();
      case Overrun::kGrammar:
        return TooMuchWork();
      case Overrun::kStep:
        return SchemaError("#",
                           "needed a mask that, with those of other requests in one step, took "
                           "more work than a step may spend; try again later, or simplify its "
                           "patterns",
                           absl::StatusCode::kResourceExhausted);
    }
    return absl::OkStatus();
  }

  void AppendSets(std::vector<SetId*>& sets) {
    sets.push_back(&top_.set);
    levels_.AppendSets(sets);
  }

 private:
  // By what the newest mask was held up so that no token is known to go on.
  enum class Overrun { kNone, kGrammar, kStep };

  MaskCost FillFromGrammar(absl::Span<uint32_t> mask, uint64_t work)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(grammar_->mutex_) {
    Automaton& automaton = grammar_->automaton_;
    TokenMasks& masks = grammar_->masks_;
    const uint64_t half = work / 2;  // for steps, and for the walk over the tokens' tree
    grammar_->BeginWork(half);
    masks.Fill(automaton, levels_, top_, half, mask);
    // More from others' shares would help, unless the grammar has used up its own.
    const bool by_grammar = automaton.out_of_work() && grammar_->granted_ < half;
    const bool cut = !by_grammar && (automaton.out_of_work() || masks.cut());
    const bool any = std::any_of(mask.begin(), mask.end(), [](uint32_t word) { return word != 0; });
    overran_ = any ? Overrun::kNone : by_grammar ? Overrun::kGrammar : Overrun::kNone;
    if (cut) overran_ = Overrun::kStep;
    return {std::max<uint64_t>(1, grammar_->EndWork() + masks.nodes_walked()), cut};
  }

  // False, and nothing taken, when `bytes` may not come.
  bool Take(std::string_view bytes) ABSL_EXCLUSIVE_LOCKS_REQUIRED(grammar_->mutex_) {
    const uint32_t size = levels_.size();
    Level level = top_;
    for (char byte : bytes) {
      const Outcome outcome =
          levels_.Advance(grammar_->automaton_, static_cast<uint8_t>(byte), level);
      if (outcome == Outcome::kGoesOn) continue;
      levels_.Restore(size);
      return false;
    }
    levels_.Keep(level, size);
    top_ = level;
    at_start_ = stuck_ = false;
    return true;
  }

  bool MayEnd() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(grammar_->mutex_) {
    const bool complete = top_.below == kNone && grammar_->automaton_.Info(top_.set).ends_document;
    return ended_ || stuck_ || complete;
  }

  const std::shared_ptr<Grammar> grammar_;
  Levels levels_;
  Level top_;
  bool at_start_ = true;  // No token came.
  bool ended_ = false;    // An end token came.
  bool stuck_ = false;    // No token of the vocabulary goes on.
  Overrun overran_ = Overrun::kNone;
};

absl::Status Grammar::PrepareFirstMask() {
  std::vector<uint32_t> mask(tokens_->mask_words());
  absl::MutexLock lock(&mutex_);
  Levels none;
  automaton_.SetWork(kMaxWorkCredit);
  masks_.Fill(automaton_, none, {automaton_.start(), 0, kNone}, kAnyMaskWork, absl::MakeSpan(mask));
  if (automaton_.out_of_work()) return TooMuchWork();
  // Where no token of the vocabulary can begin, sequences end at once, by themselves.
  if (std::any_of(mask.begin(), mask.end(), [](uint32_t word) { return word != 0; })) {
    first_mask_ = std::move(mask);
    CountBytes();
  }
  return absl::OkStatus();
}

uint64_t Grammar::work_spent() const {
  absl::MutexLock lock(&mutex_);
  return work_spent_;
}

void Grammar::BeginWork(uint64_t work) {
  granted_ = std::min({credit_, kMaxMaskWork, work});
  automaton_.SetWork(granted_);
}

uint64_t Grammar::EndWork() {
  const uint64_t spent = granted_ - automaton_.work();
  work_spent_ += spent;
  credit_ = std::min(credit_ - spent + kWorkPerMask, kMaxWorkCredit);
  CountBytes();
  return spent;
}

// Sets are numbered as they are found, and walking from one finds those that may follow it.
bool Grammar::WorkAhead() {
  absl::MutexLock lock(&mutex_);
  if (next_ahead_ >= automaton_.sets() || next_ahead_ >= kMaxSetsAhead ||
      automaton_.grown_bytes() + masks_.bytes() > kMaxBytesAhead) {
    return false;
  }
  Levels none;
  automaton_.SetWork(kWorkAhead);
  masks_.Prepare(automaton_, none, next_ahead_++);
  CountBytes();
  return true;
}

void Grammar::Trim() {
  if (masks_.bytes() > kMaxGrammarBytes / 2) masks_.Clear();
  if (automaton_.grown_bytes() <= trim_at_bytes_) return;
  std::vector<SetId*> live;
  for (SequenceConstraint* sequence : sequences_) sequence->AppendSets(live);
  automaton_.Forget(live);
  masks_.Clear();
  // Where much of it is live, trimming at every step would gain nothing.
  trim_at_bytes_ = std::max(kMaxGrammarBytes / 2, 2 * automaton_.grown_bytes());
}

std::unique_ptr<OutputConstraint> NewConstraint(std::shared_ptr<Grammar> grammar) {
  return std::make_unique<SequenceConstraint>(std::move(grammar));
}

}  // namespace regatta::grammar
