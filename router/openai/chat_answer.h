// Answers to chat requests: chat.completion.chunk events, or one chat.completion.
#pragma once

#include <memory>
#include <vector>

#include "common/text/tokenizer.h"
#include "router/openai/answer_parts.h"
#include "router/openai/message_splitter.h"
#include "router/openai/response_writer.h"

namespace regatta {

// How a chat request is answered.
struct ChatAnswer {
  AnswerIdentity identity;
  const Tokenizer& tokenizer;  // outlives the answer
  uint32_t n = 1;
  uint64_t prompt_tokens = 0;
  bool include_usage = false;
  bool continuous_usage = false;
  bool logprobs = false;
  bool return_token_ids = false;
  std::vector<uint32_t> prompt_ids;  // with return_token_ids
  ToolUse tools;
};

std::unique_ptr<ResponseWriter> MakeChatStreamWriter(ChatAnswer answer);
std::unique_ptr<ResponseWriter> MakeChatWholeWriter(ChatAnswer answer);

}  // namespace regatta
