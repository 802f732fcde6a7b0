// The split patterns of the well-known families, matched by hand: several times faster than a
// regular expression. known_split_test proves the pieces equal to PCRE2's.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace regatta {

// Finds pieces one after another; together they cover the text. Immutable, a plain value.
class KnownSplit {
 public:
  // The matcher of a pattern of exactly this text; nullopt for patterns that are not known.
  static std::optional<KnownSplit> Of(std::string_view pattern);

  // End of the piece that begins at `begin`, which is below the size of `text` (valid UTF-8).
  size_t PieceEnd(std::string_view text, size_t begin) const;

  // The pattern that a ByteLevel pre-tokeniser applies by itself (GPT-2, src/encoder.py).
  static const char* const kGpt2;
  static const char* const kLlama3;  // Also cl100k of GPT-4.
  static const char* const kQwen2;
  static const char* const kGpt4o;   // o200k.
  static const char* const kTekken;  // Mistral from NeMo on.

 private:
  enum class Letters : uint8_t {
    kAfterSpace,  // " ?\p{L}+", and numbers and signs alike: GPT-2.
    kRun,         // "[^\r\n\p{L}\p{N}]?\p{L}+"
    kCased,       // The same in two alternatives that end where capitals begin.
  };

  size_t SpaceEnd(std::string_view text, size_t begin) const;
  size_t SignsEnd(std::string_view text, size_t begin) const;
  size_t LettersEnd(std::string_view text, size_t begin) const;
  size_t CasedEnd(std::string_view text, size_t begin, bool& lower) const;
  size_t Gpt2End(std::string_view text, size_t begin) const;

  Letters letters_ = Letters::kRun;
  bool contractions_ = true;
  bool slash_ends_signs_ = false;  // "[\r\n/]*" rather than "[\r\n]*" behind signs.
  int digits_ = 3;                 // Digits of one piece at most.
};

}  // namespace regatta
