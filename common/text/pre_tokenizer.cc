// Splitting by patterns: every stage streams its pieces into the next, so nothing is materialised.
#include "common/text/pre_tokenizer.h"

#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"

namespace regatta {
namespace {

// Whether a span belongs to the same piece as the span before it.
bool Joins(SplitBehavior behavior, bool previous_is_match, bool is_match) {
  switch (behavior) {
    case SplitBehavior::kRemoved:
    case SplitBehavior::kIsolated:
      return false;
    case SplitBehavior::kMergedWithPrevious:
      return is_match && !previous_is_match;
    case SplitBehavior::kMergedWithNext:
      return !is_match && previous_is_match;
    case SplitBehavior::kContiguous:
      return is_match == previous_is_match;
  }
  return false;
}

// Puts spans together into pieces as the behaviour says and passes finished pieces on.
class PieceJoiner {
 public:
  PieceJoiner(SplitBehavior behavior, std::string_view text, PreTokenizer::Emit emit)
      : behavior_(behavior), text_(text), emit_(emit) {}
  ~PieceJoiner() { Flush(); }

  void Add(size_t begin, size_t end, bool is_match) {
    if (!(started_ && Joins(behavior_, is_match_, is_match))) {
      Flush();
      begin_ = begin;
    }
    end_ = end;
    is_match_ = is_match;
    started_ = true;
  }

 private:
  void Flush() {
    bool removed = behavior_ == SplitBehavior::kRemoved && is_match_;
    if (begin_ < end_ && !removed) emit_(text_.substr(begin_, end_ - begin_));
  }

  const SplitBehavior behavior_;
  const std::string_view text_;
  const PreTokenizer::Emit emit_;
  size_t begin_ = 0;
  size_t end_ = 0;
  bool is_match_ = false;
  bool started_ = false;
};

size_t NextCharacter(std::string_view text, size_t i) {
  do ++i;
  while (i < text.size() && (static_cast<uint8_t>(text[i]) & 0xC0) == 0x80);
  return i;
}

}  // namespace

absl::StatusOr<PreTokenizer> PreTokenizer::Create(const std::vector<SplitStage>& stages) {
  PreTokenizer result;
  for (size_t i = 0; i < stages.size(); ++i) {
    Stage stage{.add_prefix_space = stages[i].add_prefix_space};
    if (const std::optional<SplitPattern>& split = stages[i].split; split.has_value()) {
      absl::StatusOr<Regex> regex = Regex::Compile(split->text, split->literal);
      if (!regex.ok()) {
        return absl::Status(regex.status().code(), absl::StrCat("pre-tokenizer stage ", i, ": ",
                                                                regex.status().message()));
      }
      stage.regex = *std::move(regex);
      stage.behavior = split->behavior;
      stage.invert = split->invert;
    }
    result.stages_.push_back(std::move(stage));
  }
  return result;
}

void PreTokenizer::RunStage(size_t index, std::string_view text, Regex::Scratch& scratch,
                            Emit emit) const {
  if (text.empty()) return;
  if (index == stages_.size()) return emit(text);
  const Stage& stage = stages_[index];
  std::string prefixed;
  if (stage.add_prefix_space && !text.starts_with(' ')) {
    prefixed.assign(" ").append(text);
    text = prefixed;
  }
  if (!stage.regex.has_value()) return RunStage(index + 1, text, scratch, emit);
  bool last = index + 1 == stages_.size();
  if (last) return SplitByRegex(stage, text, scratch, emit);
  SplitByRegex(stage, text, scratch,
               [&](std::string_view piece) { RunStage(index + 1, piece, scratch, emit); });
}

void PreTokenizer::SplitByRegex(const Stage& stage, std::string_view text, Regex::Scratch& scratch,
                                Emit emit) const {
  PieceJoiner joiner(stage.behavior, text, emit);
  Regex::Match match;
  size_t covered = 0;  // Everything before it has been handed on.
  size_t from = 0;
  bool matched_before = false;
  while (from <= text.size() && stage.regex->Find(text, from, scratch, match)) {
    if (match.begin == match.end && matched_before && match.end == covered) {
      from = NextCharacter(text, covered);  // An empty match right after a match does not count.
      continue;
    }
    if (covered < match.begin) joiner.Add(covered, match.begin, stage.invert);
    joiner.Add(match.begin, match.end, !stage.invert);
    covered = from = match.end;
    matched_before = true;
  }
  if (covered < text.size()) joiner.Add(covered, text.size(), stage.invert);
}

}  // namespace regatta
