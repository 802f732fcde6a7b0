// Text of one growing sequence, released as soon as it is certain. Knows neither stop strings nor
// requests.
#pragma once

#include <cstdint>
#include <string>

#include "absl/types/span.h"
#include "common/text/decoder.h"
#include "common/text/tokenizer.h"

namespace regatta {

// The texts returned by Append and Finish, one after another, equal Tokenizer::Decode of all ids,
// to the byte. One per sequence, used by one thread at a time.
class Detokenizer {
 public:
  // `tokenizer` must outlive the detokenizer.
  Detokenizer(const Tokenizer& tokenizer, bool skip_special_tokens)
      : tokenizer_(&tokenizer), skip_special_tokens_(skip_special_tokens) {}

  // Before any Append: what comes is the middle of a text, not its beginning (see Decoder::Middle).
  void Continue();

  // The text that `ids` complete: whole characters only. Byte-level tokenizers hold back at most
  // three bytes, the beginning of a character that later ids may complete; ill-formed UTF-8 becomes
  // U+FFFD at once. Where bytes are tokens of their own ("<0xE2>"), a run of them is held until
  // another token ends it: `tokenizers` makes all of it U+FFFD if any of it is ill-formed.
  std::string Append(absl::Span<const int32_t> ids);

  // What Append holds back, ill-formed UTF-8 as U+FFFD (or nothing). The sequence then begins anew.
  std::string Finish();

  // Whether Append holds bytes back about which later ids decide.
  bool HoldsBytes() const;

 private:
  const Tokenizer* tokenizer_;
  bool skip_special_tokens_;
  Decoder::State state_;
};

}  // namespace regatta
