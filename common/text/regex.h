// Regular expressions of tokenizer.json (Oniguruma's Ruby syntax) run by PCRE2's JIT with a match
// limit. Only the syntax whose meaning is the same in both is accepted; the rest is refused by
// name.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace regatta {

// Rewrites an Oniguruma pattern as a PCRE2 pattern of the same meaning; INVALID_ARGUMENT names what
// it cannot carry over.
absl::StatusOr<std::string> PcreFromOniguruma(const std::string& pattern);

// Immutable after compilation and safe to share between threads; each thread brings its own
// Scratch.
class Regex {
 public:
  // Memory of one running match; reusable for any number of matches of any Regex, by one thread at
  // a time.
  class Scratch {
   public:
    Scratch();
    ~Scratch();
    Scratch(Scratch&&) noexcept;
    Scratch& operator=(Scratch&&) noexcept;

   private:
    friend class Regex;
    struct Impl;
    std::unique_ptr<Impl> impl_;
  };

  struct Match {
    size_t begin = 0;
    size_t end = 0;
  };

  // `literal`: the pattern is plain text. INVALID_ARGUMENT carries the pattern and what is wrong
  // with it.
  static absl::StatusOr<Regex> Compile(const std::string& pattern, bool literal);

  ~Regex();
  Regex(Regex&&) noexcept;
  Regex& operator=(Regex&&) noexcept;

  // Finds the first match at or after `from` in `text` (valid UTF-8, `from` on a character). False
  // when there is none, and also when a pathological pattern exceeds the match limit, so a scan
  // always ends.
  bool Find(std::string_view text, size_t from, Scratch& scratch, Match& match) const;

 private:
  struct Impl;
  explicit Regex(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace regatta
