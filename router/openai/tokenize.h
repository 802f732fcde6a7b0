// POST /tokenize and /detokenize, in vLLM's shapes.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "router/http/exchange.h"
#include "router/openai/context.h"

namespace regatta {

// {"prompt"} or {"messages", "tools", ...} -> {"count", "max_model_len", "tokens", "token_strs"}.
absl::StatusOr<std::string> TokenizeJson(const OpenAiContext& context, const HttpRequest& http);

// {"tokens"} -> {"prompt"}; special tokens are shown.
absl::StatusOr<std::string> DetokenizeJson(const OpenAiContext& context, const HttpRequest& http);

}  // namespace regatta
