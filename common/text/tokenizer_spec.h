// What a tokenizer is, as plain data: the contents of tokenizer.json without JSON. Built into
// running parts by Tokenizer.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "absl/status/statusor.h"

namespace regatta {

// Ids are below this. Tables are indexed by id, so a stray huge one must not allocate gigabytes;
// the largest vocabularies in use have about 2^18 tokens.
inline constexpr int32_t kTokenIdLimit = 1 << 24;

// A token matched in the text before the model sees it.
struct AddedToken {
  int32_t id = 0;
  std::string content;  // As written in the file.
  std::string
      text;  // What it matches and decodes to: the content, in normal form where `normalized`.
  bool special =
      false;  // Skipped by Decode on request, and matched only when special tokens are parsed.
  bool lstrip = false;       // Takes the white space on its left with it.
  bool rstrip = false;       // Takes the white space on its right with it.
  bool single_word = false;  // Matches only where no word character touches it.
  bool normalized = false;   // Matched in the normalised text.
};

// Every match of a pattern becomes `content`.
struct ReplaceRule {
  std::string pattern;
  bool literal = true;  // Plain text rather than a regular expression.
  std::string content;
};

enum class UnicodeForm { kNfc, kNfd, kNfkc, kNfkd };
struct LowercaseRule {};
struct StripRule {  // White space at the ends goes.
  bool left = true;
  bool right = true;
};
struct PrependRule {  // Put before a stretch of text that is not empty.
  std::string text;
  bool first_only = false;  // Only before the stretch that begins the input.
};
using NormalizerStep =
    std::variant<UnicodeForm, LowercaseRule, StripRule, PrependRule, ReplaceRule>;

// What becomes of a pattern's matches; names and meaning are those of tokenizer.json.
enum class SplitBehavior { kRemoved, kIsolated, kMergedWithPrevious, kMergedWithNext, kContiguous };

struct SplitPattern {
  std::string text;
  bool literal = false;  // Plain text rather than a regular expression.
  SplitBehavior behavior = SplitBehavior::kIsolated;
  bool invert = false;  // Matches and the text between them change roles.
};

// Spaces written as a visible character, "\u2581" as a rule.
struct MetaspaceRule {
  enum class Prepend { kNever, kFirst, kAlways };  // kFirst: only where the input begins.
  std::string replacement;
  Prepend prepend = Prepend::kAlways;  // Put before a piece that does not begin with it.
  bool split = true;                   // A piece begins at every replacement.
};

// One stage of pre-tokenisation, applied to every piece the stage before left.
struct SplitStage {
  bool add_prefix_space = false;  // Put a space before a piece that does not begin with one.
  std::optional<SplitPattern> split;
  std::optional<MetaspaceRule> metaspace;
};

// Steps from token strings to text; each maps the list of strings that the one before left.
struct ByteLevelStep {};  // The strings together, from the byte alphabet to bytes.
struct ByteFallbackStep {
  // A run of byte tokens that is not UTF-8 as a whole: false gives one U+FFFD per byte, as
  // `tokenizers` does; true one per ill-formed byte, as sentencepiece does.
  bool lenient = false;
};
struct FuseStep {};  // One string of them all.
struct DecoderStrip {
  std::string content;      // One character.
  size_t start = 0;         // At most so many of it go at the beginning of a string,
  size_t stop = 0;          // and at the end.
  bool first_only = false;  // Of the first string only.
};
using DecoderStep = std::variant<ByteLevelStep, ByteFallbackStep, FuseStep, DecoderStrip,
                                 ReplaceRule, MetaspaceRule>;

// Byte-pair encoding; token strings as written in the file: in the byte-level alphabet, or plain.
struct BpeSpec {
  std::vector<std::pair<std::string, int32_t>> vocab;
  std::vector<std::pair<std::string, std::string>> merges;  // Best first.
  std::vector<uint32_t> merge_ranks;                        // Of each merge; empty: their order.
  std::optional<std::string> unk_token;  // Stands for symbols (bytes or characters) without token.
  bool fuse_unk = false;                 // A run of such symbols gives one unk_token.
  bool byte_fallback =
      false;  // A character without token becomes the tokens "<0xE2>" of its bytes.
  bool ignore_merges = false;  // A piece that is in the vocabulary is taken as it is.
};

struct TokenizerSpec {
  std::vector<AddedToken> added_tokens;
  std::vector<NormalizerStep> normalizers;
  std::vector<SplitStage> pre_tokenizers;
  bool byte_level = false;  // The model's symbols are bytes, its strings in the byte alphabet.
  BpeSpec model;
  std::vector<DecoderStep> decoders;
  // Token ids that the post-processor puts around one sequence.
  std::vector<int32_t> prefix;
  std::vector<int32_t> suffix;
};

// Parses tokenizer.json (Hugging Face `tokenizers`). INVALID_ARGUMENT names the field;
// UNIMPLEMENTED names a component type that is valid there but not supported here. Truncation and
// padding are the caller's business and are ignored.
absl::StatusOr<TokenizerSpec> ParseTokenizerJson(std::string_view text);

}  // namespace regatta
