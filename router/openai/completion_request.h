// POST /v1/completions: the request read and tokenised.
#pragma once

#include "absl/status/statusor.h"
#include "router/http/exchange.h"
#include "router/openai/context.h"
#include "router/openai/response_writer.h"

namespace regatta {

inline constexpr size_t kMaxPrompts = 1024;  // of one request; times n, its choices

// INVALID_ARGUMENT names the field; NOT_FOUND the model. Takes time with the length of the body.
absl::StatusOr<PreparedRequest> PrepareCompletion(const OpenAiContext& context,
                                                  const HttpRequest& http);

}  // namespace regatta
