// Where the text of each token begins in the text of all of them. Knows no log-probabilities.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/text/detokenizer.h"
#include "common/text/tokenizer.h"

namespace regatta {

// Offsets count characters of the text that Tokenizer::Decode makes of all ids. A token's is that
// of the character in which its first byte is; one without text has that of the text that follows.
// One per sequence, used by one thread at a time.
class TokenOffsets {
 public:
  // `tokenizer` must outlive this.
  TokenOffsets(const Tokenizer& tokenizer, bool skip_special_tokens)
      : tokenizer_(&tokenizer),
        skip_special_tokens_(skip_special_tokens),
        text_(tokenizer, skip_special_tokens) {}

  // Before any Append: see Detokenizer::Continue.
  void Continue() { text_.Continue(); }

  // Appends the offsets that are certain once `id` has come, in the order of tokens: of all tokens
  // so far, or none of those since bytes that are tokens of their own ("<0xE2>") began.
  void Append(int32_t id, std::vector<uint64_t>& offsets);
  // The text ends: appends all that is left. What follows is a text of its own behind it.
  void Finish(std::vector<uint64_t>& offsets);

  // Of the text whose tokens have offsets.
  uint64_t characters() const { return characters_; }

 private:
  void AppendByteLevel(int32_t id, std::string_view bytes, std::vector<uint64_t>& offsets);
  void EndRun(std::vector<uint64_t>& offsets);

  const Tokenizer* tokenizer_;
  bool skip_special_tokens_;
  Detokenizer text_;
  uint64_t characters_ = 0;  // before the run
  // Tokens whose text is not certain yet: what they are, where each begins in it, what became of
  // it.
  std::string run_;
  std::vector<size_t> starts_;
  std::string shown_;
};

}  // namespace regatta
