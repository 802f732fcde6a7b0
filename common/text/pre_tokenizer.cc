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

size_t NextLeadByte(std::string_view text, size_t i) {
  do ++i;
  while (i < text.size() && (static_cast<uint8_t>(text[i]) & 0xC0) == 0x80);
  return i;
}

// A piece begins at every `mark`.
void SplitBefore(const std::string& mark, std::string_view text, PreTokenizer::Emit emit) {
  size_t begin = 0;
  while (begin < text.size()) {
    size_t end = text.find(mark, begin + (text.substr(begin).starts_with(mark) ? mark.size() : 0));
    if (end == std::string_view::npos) end = text.size();
    emit(text.substr(begin, end - begin));
    begin = end;
  }
}

}  // namespace

absl::StatusOr<PreTokenizer::Stage> PreTokenizer::CreateStage(const SplitStage& spec) {
  Stage stage{.add_prefix_space = spec.add_prefix_space};
  if (spec.metaspace.has_value()) {
    ASSIGN_OR_RETURN(PatternReplacer replacer,
                     PatternReplacer::Create(ReplaceRule{" ", true, spec.metaspace->replacement}));
    stage.metaspace = Metaspace{*spec.metaspace, std::move(replacer)};
  }
  if (!spec.split.has_value()) return stage;
  const SplitPattern& split = *spec.split;
  // The known patterns leave no text between their matches, so these behaviours mean the same.
  bool every_match = split.behavior == SplitBehavior::kIsolated ||
                     (split.behavior == SplitBehavior::kRemoved && split.invert);
  if (!split.literal && every_match) stage.known = KnownSplit::Of(split.text);
  if (stage.known.has_value()) return stage;
  ASSIGN_OR_RETURN(stage.regex, Regex::Compile(split.text, split.literal));
  stage.behavior = split.behavior;
  stage.invert = split.invert;
  return stage;
}

absl::StatusOr<PreTokenizer> PreTokenizer::Create(const std::vector<SplitStage>& stages) {
  PreTokenizer result;
  for (size_t i = 0; i < stages.size(); ++i) {
    absl::StatusOr<Stage> stage = CreateStage(stages[i]);
    if (!stage.ok()) {
      return absl::Status(stage.status().code(),
                          absl::StrCat("pre-tokenizer stage ", i, ": ", stage.status().message()));
    }
    result.stages_.push_back(*std::move(stage));
  }
  return result;
}

void PreTokenizer::RunStage(size_t index, std::string_view text, bool first,
                            Regex::Scratch& scratch, Emit emit) const {
  if (text.empty()) return;
  if (index == stages_.size()) return emit(text);
  const Stage& stage = stages_[index];
  std::string replaced, prefixed;
  if (stage.metaspace.has_value()) {
    const MetaspaceRule& rule = stage.metaspace->rule;
    text = stage.metaspace->replacer.Apply(text, replaced);
    bool prepend = rule.prepend == MetaspaceRule::Prepend::kAlways ||
                   (rule.prepend == MetaspaceRule::Prepend::kFirst && first);
    if (prepend && !text.starts_with(rule.replacement)) {
      prefixed.assign(rule.replacement).append(text);
      text = prefixed;
    }
  }
  if (stage.add_prefix_space && !text.starts_with(' ')) {
    prefixed.assign(" ").append(text);
    text = prefixed;
  }
  const char* begin = text.data();
  auto next = [&](std::string_view piece) {
    RunStage(index + 1, piece, first && piece.data() == begin, scratch, emit);
  };
  if (stage.metaspace.has_value() && stage.metaspace->rule.split) {
    SplitBefore(stage.metaspace->rule.replacement, text, next);
  } else if (stage.known.has_value()) {
    for (size_t from = 0, end; from < text.size(); from = end) {
      end = stage.known->PieceEnd(text, from);
      next(text.substr(from, end - from));
    }
  } else if (stage.regex.has_value()) {
    SplitByRegex(stage, text, scratch, next);
  } else {
    next(text);
  }
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
      from = NextLeadByte(text, covered);  // An empty match right after a match does not count.
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
