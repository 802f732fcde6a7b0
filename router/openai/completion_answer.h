// Answers to text completion requests, as a stream or as one document.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "common/text/tokenizer.h"
#include "router/openai/answer_parts.h"
#include "router/openai/response_writer.h"

namespace regatta {

// How a completion request is answered. Choice i belongs to prompt i / n.
struct CompletionAnswer {
  struct Prompt {
    std::string text;               // with echo
    bool shows_text = false;        // not only tokens that are hidden: the output goes on with it
    std::vector<uint32_t> ids;      // with echo and logprobs, or return_token_ids
    std::vector<uint64_t> offsets;  // where each begins in the text; with echo and logprobs
  };

  AnswerIdentity identity;
  const Tokenizer& tokenizer;  // outlives the answer
  std::vector<Prompt> prompts;
  uint32_t n = 1;
  uint64_t prompt_tokens = 0;
  bool echo = false;         // the prompt comes first, its log-probabilities too
  bool drop_output = false;  // max_tokens 0: only the prompt is of interest
  bool include_usage = false;
  bool continuous_usage = false;
  bool logprobs = false;
  bool return_token_ids = false;
  bool skip_special_tokens = true;
};

std::unique_ptr<ResponseWriter> MakeCompletionWriter(CompletionAnswer answer, bool stream);

}  // namespace regatta
