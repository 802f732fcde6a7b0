// From a prompt and shared fields to requests of the cluster.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "proto/inference.pb.h"
#include "router/openai/context.h"
#include "router/openai/sampling_fields.h"

namespace regatta {

// The tokens of `text`, special tokens in it parsed. INVALID_ARGUMENT naming `field`: the model has
// no tokenizer, or the text is so long that it cannot be `max_tokens` or fewer (0 = any number),
// which is told without reading it.
absl::StatusOr<std::vector<uint32_t>> TextTokens(const OpenAiContext& context,
                                                 std::string_view field, std::string_view text,
                                                 bool add_special_tokens, uint32_t max_tokens);

// Token ids from JSON, each below the vocabulary size. INVALID_ARGUMENT names `field` and index.
absl::StatusOr<std::vector<uint32_t>> GivenTokens(const OpenAiContext& context,
                                                  std::string_view field, const OrderedJson& array);

// The text of tokens.
std::string TextOf(const Tokenizer& tokenizer, absl::Span<const uint32_t> tokens,
                   bool skip_special_tokens);

// Where each of them begins in that text, in characters (see TokenOffsets).
std::vector<uint64_t> OffsetsOf(const Tokenizer& tokenizer, absl::Span<const uint32_t> tokens,
                                bool skip_special_tokens);

// Appends `shared.n` requests for one prompt: alike but for seed and id, which is `http_id`, with
// "-1", "-2" ... from the second request of `choices` on.
void AddChoices(const SharedFields& shared, absl::Span<const uint32_t> prompt,
                std::string_view http_id, std::vector<GenerateRequest>& choices);

// INVALID_ARGUMENT when min_tokens is over max_tokens.
absl::Status CheckMinTokens(const GenerateRequest& request);

}  // namespace regatta
