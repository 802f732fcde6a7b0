// Log-probabilities as the OpenAI API shows them, in its two shapes: objects for chat, columns for
// text completions.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/types/span.h"
#include "common/text/token_offsets.h"
#include "common/text/tokenizer.h"
#include "proto/inference.pb.h"

namespace regatta {

// Appends `{"token":...,"logprob":...,"bytes":[...],"top_logprobs":[...]}` of every token of
// `delta`, with commas between them and after what `out` holds already. A token that is only part
// of a character is shown as U+FFFD; its bytes are exact.
void AppendChatLogprobs(const TokenDelta& delta, const Tokenizer& tokenizer, std::string& out);

// The columns of one choice, from `tokens` to `text_offset`. A token that is not text by itself is
// named "bytes:\xe2\x82", so that different tokens have different names. The map of the likeliest
// tokens also holds the token itself. Offsets are those of TokenOffsets in the choice's text, the
// echoed prompt included; of tokens that a stop string cut off, as if their text had been shown.
class CompletionLogprobs {
 public:
  // `tokenizer` must outlive this. `continue_text`: as the request that brings the tokens says.
  CompletionLogprobs(const Tokenizer& tokenizer, bool skip_special_tokens, bool continue_text)
      : tokenizer_(&tokenizer), places_(tokenizer, skip_special_tokens) {
    if (continue_text) places_.Continue();
  }

  // The echoed prompt's tokens, where each begins, and of how many characters it is; the first
  // token has no log-probability. Before any Add.
  void AddPrompt(absl::Span<const uint32_t> tokens, absl::Span<const uint64_t> offsets,
                 uint64_t characters, const PromptLogprobs& logprobs);
  void Add(const TokenDelta& delta);

  // Tokens have come since the last TakeJson, and it is known where each of them begins.
  bool ready() const { return num_tokens_ > 0 && num_tokens_ == num_offsets_; }
  // Appends the object of the tokens that came since the last call, all of which must have offsets.
  void TakeJson(std::string& out);

 private:
  // `logprob` is null for the first token of a prompt, `top` where none was asked for.
  void AddToken(uint32_t token, const float* logprob, const TopLogprobs* top);
  void AddOffsets(absl::Span<const uint64_t> offsets);
  void AppendTop(uint32_t token, float logprob, const TopLogprobs* top);

  const Tokenizer* tokenizer_;
  TokenOffsets places_;  // in the output
  uint64_t output_at_ = 0;
  size_t num_tokens_ = 0;  // in the columns
  size_t num_offsets_ = 0;
  std::string tokens_;
  std::string logprobs_;
  std::string tops_;
  std::string offsets_;
};

}  // namespace regatta
