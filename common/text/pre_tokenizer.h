// Cuts text into the pieces that the model encodes one by one.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
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

  // Runs all stages over `text` (valid UTF-8).
  void Split(std::string_view text, Regex::Scratch& scratch, Emit emit) const {
    RunStage(0, text, scratch, emit);
  }

 private:
  struct Stage {
    bool add_prefix_space = false;
    std::optional<Regex> regex;
    SplitBehavior behavior = SplitBehavior::kIsolated;
    bool invert = false;
  };

  void RunStage(size_t index, std::string_view text, Regex::Scratch& scratch, Emit emit) const;
  void SplitByRegex(const Stage& stage, std::string_view text, Regex::Scratch& scratch,
                    Emit emit) const;

  std::vector<Stage> stages_;
};

}  // namespace regatta
