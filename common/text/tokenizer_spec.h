// What a tokenizer is, as plain data: the contents of tokenizer.json without JSON. Built into
// running parts by Tokenizer.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
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

enum class UnicodeForm { kNfc, kNfd, kNfkc, kNfkd };

// What becomes of a pattern's matches; names and meaning are those of tokenizer.json.
enum class SplitBehavior { kRemoved, kIsolated, kMergedWithPrevious, kMergedWithNext, kContiguous };

struct SplitPattern {
  std::string text;
  bool literal = false;  // Plain text rather than a regular expression.
  SplitBehavior behavior = SplitBehavior::kIsolated;
  bool invert = false;  // Matches and the text between them change roles.
};

// One stage of pre-tokenisation, applied to every piece the stage before left.
struct SplitStage {
  bool add_prefix_space = false;  // Put a space before a piece that does not begin with one.
  std::optional<SplitPattern> split;
};

// Byte-pair encoding; token strings as written in the file, that is in the byte-level alphabet.
struct BpeSpec {
  std::vector<std::pair<std::string, int32_t>> vocab;
  std::vector<std::pair<std::string, std::string>> merges;  // Best first.
  std::optional<std::string> unk_token;                     // Stands for bytes without a token.
  bool fuse_unk = false;       // A run of such bytes gives one unk_token.
  bool ignore_merges = false;  // A piece that is in the vocabulary is taken as it is.
};

struct TokenizerSpec {
  std::vector<AddedToken> added_tokens;
  std::vector<UnicodeForm> normalizers;
  std::vector<SplitStage> pre_tokenizers;
  BpeSpec model;
  // Token ids that the post-processor puts around one sequence.
  std::vector<int32_t> prefix;
  std::vector<int32_t> suffix;
};

// Parses tokenizer.json (Hugging Face `tokenizers`). INVALID_ARGUMENT names the field;
// UNIMPLEMENTED names a component type that is valid there but not supported here. Truncation and
// padding are the caller's business and are ignored.
absl::StatusOr<TokenizerSpec> ParseTokenizerJson(std::string_view text);

}  // namespace regatta
