// Replaces every match of a pattern, for normalisers and decoders.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "common/text/regex.h"
#include "common/text/tokenizer_spec.h"

namespace regatta {

// Immutable and safe to share between threads.
class PatternReplacer {
 public:
  // INVALID_ARGUMENT when the pattern does not compile or is empty.
  static absl::StatusOr<PatternReplacer> Create(const ReplaceRule& rule);

  // Returns `text` (valid UTF-8) itself when nothing matches, else a view of `storage`, which must
  // not hold `text`.
  std::string_view Apply(std::string_view text, std::string& storage) const;

  // Whether the pattern is one plain character, which no cut through the text can divide.
  bool is_single_character() const { return single_character_; }

 private:
  std::string literal_;  // Sought when there is no regex.
  std::optional<Regex> regex_;
  std::string content_;
  bool single_character_ = false;
};

}  // namespace regatta
