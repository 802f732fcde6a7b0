// Sums and their refusal; see answer_limits.h.
#include "router/openai/answer_limits.h"

#include "absl/strings/str_cat.h"
#include "common/string_views.h"

namespace regatta {

absl::Status CheckSum(std::string_view field, uint64_t count, std::string_view what,
                      uint64_t limit) {
  if (count <= limit) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(View(field), ": ", count, " ", View(what), " are over the limit of ", limit));
}

absl::Status CheckRequestTokens(const SharedFields& shared, uint64_t prompts, uint64_t outputs) {
  const uint64_t tokens = shared.n * (prompts + (shared.stream ? 0 : outputs));
  if (tokens <= kMaxRequestTokens) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      "n: all choices together have up to ", tokens, " tokens, their prompts included; at most ",
      kMaxRequestTokens, shared.stream ? "" : ": set max_tokens, or stream"));
}

uint64_t BytesOf(const Tokenizer& tokenizer, absl::Span<const uint32_t> tokens) {
  uint64_t bytes = 0;
  for (const uint32_t token : tokens) {
    bytes += tokenizer.TokenBytes(static_cast<int32_t>(token)).size();
  }
  return bytes;
}

}  // namespace regatta
