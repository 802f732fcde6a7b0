// What happens to text before it is cut: Unicode normalisation, replacements, prefixes.
#pragma once

#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "absl/status/statusor.h"
#include "common/text/pattern_replacer.h"
#include "common/text/tokenizer_spec.h"

namespace regatta {

// Immutable and safe to share between threads.
class Normalizer {
 public:
  // Memory of one thread, reused between texts.
  struct Scratch {
    std::string buffers[2];
  };

  // INVALID_ARGUMENT when a pattern does not compile.
  static absl::StatusOr<Normalizer> Create(const std::vector<NormalizerStep>& steps);

  // Applies the steps in order to `text` (valid UTF-8, below 2 GiB), which begins the input if
  // `first`. Returns `text` itself when nothing changes, else a view of `scratch`. Linear in the
  // text: a run of more than 512 combining marks is taken in parts, so their order is canonical
  // within each only.
  std::string_view Apply(std::string_view text, bool first, Scratch& scratch) const;

 private:
  using Step = std::variant<UnicodeForm, LowercaseRule, StripRule, PrependRule, PatternReplacer>;

  std::vector<Step> steps_;
};

}  // namespace regatta
