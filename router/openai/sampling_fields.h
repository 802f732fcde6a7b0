// Fields that chat and completion requests share: how tokens are drawn, where output ends, how it
// is sent.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "proto/inference.pb.h"
#include "router/openai/context.h"
#include "router/openai/request_fields.h"

namespace regatta {

inline constexpr uint32_t kMaxChoices = 64;  // n
inline constexpr size_t kMaxLogitBiasEntries = 1024;
inline constexpr size_t kMaxUserBytes = 1024;  // user and other labels

struct SharedFields {
  GenerateRequest request;  // all but prompt, id and seed
  uint32_t n = 1;
  std::optional<uint64_t> seed;
  bool stream = false;
  bool include_usage = false;     // a last chunk with usage
  bool continuous_usage = false;  // usage in every chunk
  bool return_token_ids = false;
};

// Reads them; errors go to `fields`. Defaults are those of the model, then the API's. `max_tokens`
// and logprobs differ between the two kinds of request and are left to the caller.
void ReadSharedFields(RequestFields& fields, const OpenAiContext& context, SharedFields& shared);

// NOT_FOUND (model_not_found) unless `model` is a served name; INVALID_ARGUMENT when absent, unless
// `optional`.
absl::Status CheckModel(const std::optional<std::string>& model, const OpenAiContext& context,
                        bool optional = false);

// INVALID_ARGUMENT (context_length_exceeded) unless a prompt of so many tokens and `max_tokens` (0
// = at least one) fit into the context. `field` is what holds the prompt. A `max_seq_len` of 0,
// before anything serves, is no limit: the cluster refuses then.
absl::Status CheckContextLength(std::string_view field, size_t prompt_tokens, uint32_t max_tokens,
                                uint32_t max_seq_len);

// Log-probabilities that one answer may hold: of a prompt, which are written at once on the thread
// of a connection, and of a whole answer, which waits in memory (about 64 bytes each).
inline constexpr uint64_t kMaxEchoedLogprobs = 1 << 18;
inline constexpr uint64_t kMaxWholeLogprobs = 1 << 22;

// INVALID_ARGUMENT when log-probabilities of so many tokens, the likeliest at each place included,
// would be more than that. `prompt_tokens`: of the longest prompt that is echoed; `tokens`: of all
// choices.
absl::Status CheckLogprobs(const SharedFields& shared, uint64_t prompt_tokens, uint64_t tokens);

// The seed of choice `index`: seeds of one request differ, and are reproducible when it gives one.
uint64_t SeedOfChoice(std::optional<uint64_t> seed, uint32_t index);

}  // namespace regatta
