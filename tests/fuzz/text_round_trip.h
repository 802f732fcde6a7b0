// What must hold of every tokenizer, whatever file it came from.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "common/check.h"
#include "common/text/detokenizer.h"
#include "common/text/tokenizer.h"

namespace regatta {

// Ids are in range, and text that grows token by token is the text of all tokens.
inline void CheckRoundTrip(const Tokenizer& tokenizer, std::string_view text) {
  for (const bool special : {false, true}) {
    const std::vector<int32_t> ids = tokenizer.Encode(text, special, /*parse_special=*/special);
    for (const int32_t id : ids) {
      CHECK_GE(id, 0);
      CHECK_LT(id, tokenizer.vocab_size());
    }
    Detokenizer detokenizer(tokenizer, /*skip_special_tokens=*/!special);
    std::string grown;
    for (const int32_t id : ids) grown += detokenizer.Append({id});
    CHECK_EQ(grown + detokenizer.Finish(), tokenizer.Decode(ids, !special));
  }
}

// All sorts of characters, and the special tokens of the corpus's files.
inline constexpr std::string_view kAnyText =
    "the caf\xc3\xa9  <s><|im_end|> x1\n\n\t\xff \xe2\x98\x83\xe2\x96\x81 \xf0\x9f\x98\x80 "
    "aaaaaaaaaaaa";

}  // namespace regatta
