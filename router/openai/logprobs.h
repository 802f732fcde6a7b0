// Log-probabilities as the OpenAI API shows them, in its two shapes: objects for chat, columns for
// text completions.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "absl/types/span.h"
#include "common/text/detokenizer.h"
#include "common/text/tokenizer.h"
#include "proto/inference.pb.h"

namespace regatta {

// Appends `{"token":...,"logprob":...,"bytes":[...],"top_logprobs":[...]}` of every token of
// `delta`, with commas between them and after what `out` holds already. A token that is only part
// of a character is shown as U+FFFD; its bytes are exact.
void AppendChatLogprobs(const TokenDelta& delta, const Tokenizer& tokenizer, std::string& out);

// The columns of one choice, from `tokens` to `text_offset`. A token that is not text by itself is
// named "bytes:\xe2\x82", so that different tokens have different names. The map of the likeliest
// tokens also holds the token itself. Offsets count characters of the choice's text.
class CompletionLogprobs {
 public:
  // `tokenizer` must outlive this.
  CompletionLogprobs(const Tokenizer& tokenizer, bool skip_special_tokens)
      : tokenizer_(&tokenizer), text_(tokenizer, skip_special_tokens) {}

  // The prompt's tokens; the first has no log-probability.
  void AddPrompt(absl::Span<const uint32_t> tokens, const PromptLogprobs& logprobs);
  void Add(const TokenDelta& delta);
  // Appends the object of what came since the last call.
  void TakeJson(std::string& out);

 private:
  // `logprob` is null for the first token of a prompt, `top` where none was asked for.
  void AddToken(uint32_t token, const float* logprob, const TopLogprobs* top);
  void AppendTop(uint32_t token, float logprob, const TopLogprobs* top);

  const Tokenizer* tokenizer_;
  Detokenizer text_;
  uint64_t offset_ = 0;
  std::string tokens_;
  std::string logprobs_;
  std::string tops_;
  std::string offsets_;
};

}  // namespace regatta
