// POST /v1/chat/completions: the request read, rendered, tokenised.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "router/http/exchange.h"
#include "router/openai/context.h"
#include "router/openai/request_fields.h"
#include "router/openai/response_writer.h"

namespace regatta {

// INVALID_ARGUMENT names the field; NOT_FOUND the model. Takes time with the length of the body.
absl::StatusOr<PreparedRequest> PrepareChat(const OpenAiContext& context, const HttpRequest& http);

// The part of a request that becomes the prompt; /tokenize has it too.
struct ChatPrompt {
  OrderedJson messages;
  const OrderedJson* tools = nullptr;      // shown to the model; null = none
  const OrderedJson* variables = nullptr;  // chat_template_kwargs
  bool add_generation_prompt = true;
  bool continue_final_message = false;
};

// Reads all of it but tools; errors go to `fields`.
ChatPrompt ReadChatPrompt(RequestFields& fields);

// The prompt's tokens. Special tokens written in the rendered text become tokens: those of the
// template must, and once rendered a user's text cannot be told from it (the same in vLLM).
// INVALID_ARGUMENT: the model has no chat template or tokenizer, the template refuses, or the text
// is too long for `max_tokens` (see TextTokens).
absl::StatusOr<std::vector<uint32_t>> ChatPromptTokens(const OpenAiContext& context,
                                                       const ChatPrompt& prompt,
                                                       bool add_special_tokens,
                                                       uint32_t max_tokens);

}  // namespace regatta
