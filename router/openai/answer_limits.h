// What one request may make the server hold beside its body: bounds on what it asks for in sum.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "common/text/tokenizer.h"
#include "router/openai/sampling_fields.h"

namespace regatta {

// Tokens of all choices of one request: each has its prompt, and in a whole answer its output.
inline constexpr uint64_t kMaxRequestTokens = 1 << 23;
// Bytes of prompts that echo brings back, once for every choice.
inline constexpr uint64_t kMaxEchoedBytes = 16 << 20;
// Bytes of JSON Schemas, which every choice has for itself.
inline constexpr uint64_t kMaxSchemasBytes = 16 << 20;
// Tokens in an answer of /tokenize; bytes of text in one of /detokenize.
inline constexpr uint64_t kMaxTokenizedTokens = 1 << 20;
inline constexpr uint64_t kMaxDetokenizedBytes = 16 << 20;

// INVALID_ARGUMENT when `count` of `what`, for which `field` asks, is over `limit`.
absl::Status CheckSum(std::string_view field, uint64_t count, std::string_view what,
                      uint64_t limit);

// What one request asks for, prompt by prompt; choices are counted in.
class RequestVolume {
 public:
  // `shared` must outlive this.
  explicit RequestVolume(const SharedFields& shared) : shared_(shared) {}

  // A prompt of so many tokens, up to `output_tokens` behind it, and with echo the bytes of its
  // text. INVALID_ARGUMENT when it makes the sum more than a limit above, or log-probabilities too
  // many (CheckLogprobs).
  absl::Status Add(uint64_t prompt_tokens, uint64_t output_tokens,
                   std::optional<uint64_t> echoed_bytes);

 private:
  const SharedFields& shared_;
  uint64_t prompts_ = 0;  // each once
  uint64_t prompt_tokens_ = 0;
  uint64_t output_tokens_ = 0;
  uint64_t echoed_tokens_ = 0;
  uint64_t echoed_bytes_ = 0;
  uint64_t longest_echo_ = 0;  // in tokens
};

// Bytes of tokens, about as many as their text has, which is not made.
uint64_t BytesOf(const Tokenizer& tokenizer, absl::Span<const uint32_t> tokens);

}  // namespace regatta
