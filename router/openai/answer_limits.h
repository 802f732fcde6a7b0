// What one request may make the server hold beside its body: bounds on what it asks for in sum.
#pragma once

#include <cstdint>
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

// INVALID_ARGUMENT when all choices have more than kMaxRequestTokens. `prompts`: tokens of all
// prompts, each once; `outputs`: the most that one choice of each can write.
absl::Status CheckRequestTokens(const SharedFields& shared, uint64_t prompts, uint64_t outputs);

// Bytes of tokens, about as many as their text has, which is not made.
uint64_t BytesOf(const Tokenizer& tokenizer, absl::Span<const uint32_t> tokens);

}  // namespace regatta
