// Parts that chat and text completion answers share: identity, usage, token ids.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/types/span.h"
#include "proto/inference.pb.h"
#include "router/openai/context.h"

namespace regatta {

// What all chunks of one answer say of it.
struct AnswerIdentity {
  std::string id;
  int64_t created_s = 0;
  std::string model;
  std::string fingerprint;
};

// A new identity, its random id beginning with `prefix`.
AnswerIdentity MakeIdentity(std::string_view prefix, const OpenAiContext& context);

// `prefix` and 128 random bits.
std::string RandomId(std::string_view prefix);

// `{"id":...,"object":`object`,"created":...,"model":...,"system_fingerprint":...` without the
// closing brace.
std::string IdentityJson(const AnswerIdentity& identity, std::string_view object);

// Tokens of one answer: of each prompt once, of all choices.
struct AnswerUsage {
  uint64_t prompt_tokens = 0;
  uint64_t output_tokens = 0;
  uint64_t cached_tokens = 0;

  // `first`: of the first choice of its prompt; later ones find that one's blocks in the cache.
  void Add(const TokenDelta& delta, bool first) {
    output_tokens += delta.count();
    if (first) cached_tokens += delta.usage().cached_tokens();
  }
};

// `"usage":{...}`.
void AppendUsage(const AnswerUsage& usage, std::string& out);

// `[1,2,3]`.
void AppendIds(absl::Span<const uint32_t> ids, std::string& out);

// The API's name of `reason`, which is stop or length.
std::string_view FinishReasonName(FinishReason reason);

}  // namespace regatta
