// Cuts text into the pieces that the model encodes one by one.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "common/text/known_split.h"
#include "common/text/pattern_replacer.h"
#include "common/text/regex.h"
#include "common/text/tokenizer_spec.h"

namespace regatta {

// Immutable and safe to share between threads.
class PreTokenizer {
 public:
  // Receives each piece in order; never an empty one. The view lives until the call returns.
  using Emit = absl::FunctionRef<void(std::string_view piece)>;

  // INVALID_ARGUMENT when a pattern does not compile.
  static absl::StatusOr<PreTokenizer> Create(const std::vector<SplitStage>& stages);

  // Runs all stages over `text` (valid UTF-8), which begins the input if `first`.
  void Split(std::string_view text, bool first, Regex::Scratch& scratch, Emit emit) const {
    RunStage(0, text, first, scratch, emit);
  }

 private:
  struct Metaspace {
    MetaspaceRule rule;
    PatternReplacer replacer;  // Spaces to replacements.
  };
  struct Stage {
    bool add_prefix_space = false;
    std::optional<KnownSplit> known;  // Takes the place of `regex`.
    std::optional<Regex> regex;
    SplitBehavior behavior = SplitBehavior::kIsolated;
    bool invert = false;
    std::optional<Metaspace> metaspace;
  };

  static absl::StatusOr<Stage> CreateStage(const SplitStage& spec);
  void RunStage(size_t index, std::string_view text, bool first, Regex::Scratch& scratch,
                Emit emit) const;
  void SplitByRegex(const Stage& stage, std::string_view text, Regex::Scratch& scratch,
                    Emit emit) const;

  std::vector<Stage> stages_;
};

}  // namespace regatta
