// Text of one growing sequence, released as soon as its UTF-8 is complete. Knows neither stop
// strings nor requests.
#pragma once

#include <cstdint>
#include <string>

#include "absl/types/span.h"
#include "common/text/tokenizer.h"

namespace regatta {

// The texts returned by Append and Finish, one after another, equal Tokenizer::Decode of all ids,
// to the byte. One per sequence, used by one thread at a time.
class Detokenizer {
 public:
  // `tokenizer` must outlive the detokenizer.
  Detokenizer(const Tokenizer& tokenizer, bool skip_special_tokens)
      : tokenizer_(&tokenizer), skip_special_tokens_(skip_special_tokens) {}

  // The text that `ids` complete: whole characters only. At most three bytes, the beginning of a
  // character that later ids may complete, are held back; ill-formed UTF-8 becomes U+FFFD at once.
  std::string Append(absl::Span<const int32_t> ids);

  // What Append holds back, as U+FFFD (or nothing). The sequence then begins anew.
  std::string Finish();

 private:
  const Tokenizer* tokenizer_;
  bool skip_special_tokens_;
  std::string held_;
};

}  // namespace regatta
