// Sums and their refusal; see answer_limits.h.
#include "router/openai/answer_limits.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "common/string_views.h"

namespace regatta {

absl::Status CheckSum(std::string_view field, uint64_t count, std::string_view what,
                      uint64_t limit) {
  if (count <= limit) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(View(field), ": ", count, " ", View(what), " are over the limit of ", limit));
}

absl::Status RequestVolume::Add(uint64_t prompt_tokens, uint64_t output_tokens,
                                std::optional<uint64_t> echoed_bytes) {
  const uint64_t n = shared_.n;
  prompts_ += 1;
  prompt_tokens_ += prompt_tokens;
  output_tokens_ += output_tokens;
  if (echoed_bytes) {
    echoed_tokens_ += prompt_tokens;
    echoed_bytes_ += *echoed_bytes;
    longest_echo_ = std::max(longest_echo_, prompt_tokens);
  }
  const uint64_t tokens = n * (prompt_tokens_ + (shared_.stream ? 0 : output_tokens_));
  if (tokens > kMaxRequestTokens) {
    return absl::InvalidArgumentError(absl::StrCat(
        "n: all choices together have up to ", tokens, " tokens, their prompts included; at most ",
        kMaxRequestTokens, shared_.stream ? "" : ": set max_tokens, or stream"));
  }
  RETURN_IF_ERROR(
      CheckSum("echo", n * echoed_bytes_, "bytes of all choices' prompts", kMaxEchoedBytes));
  RETURN_IF_ERROR(CheckSum("response_format",
                           n * prompts_ * shared_.request.constraint().json_schema().size(),
                           "bytes of all choices' schemas", kMaxSchemasBytes));
  return CheckLogprobs(shared_, longest_echo_, n * (echoed_tokens_ + output_tokens_));
}

uint64_t BytesOf(const Tokenizer& tokenizer, absl::Span<const uint32_t> tokens) {
  uint64_t bytes = 0;
  for (const uint32_t token : tokens) {
    bytes += tokenizer.TokenBytes(static_cast<int32_t>(token)).size();
  }
  return bytes;
}

}  // namespace regatta
