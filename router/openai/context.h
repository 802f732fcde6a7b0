// OpenAiContext: what the OpenAI API needs to know of the served model and the cluster.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/model_spec.h"
#include "common/text/chat_template.h"
#include "common/text/tokenizer.h"
#include "router/frontend.h"
#include "router/openai/generation_defaults.h"
#include "router/openai/tool_call_parser.h"

namespace regatta {

struct OpenAiContext {
  std::vector<std::string> model_names;  // at least one; answers name the first
  const ModelSpec& model;
  RequestSink& sink;
  const Tokenizer* tokenizer = nullptr;  // null: no text in, no text out, hence no generation
  // The conversation as text, ChatTemplate::Render; null when the model has no template. Called
  // from several threads.
  std::function<absl::StatusOr<std::string>(const ChatInput&)> render_chat;
  GenerationDefaults defaults;
  ToolCallSyntax tool_syntax = ToolCallSyntax::kNone;
  std::function<uint32_t()> max_seq_len;  // served now, prompt plus output; 0 = nothing yet
  std::function<double()> retry_after_s;  // for 429 and 503; may be null
  std::function<void(const std::string&)>
      log;                  // lines for operators; from several threads; may be null
  std::string fingerprint;  // system_fingerprint: names build and model
  int64_t created_s = 0;    // Unix time, for /v1/models

  // Requests with larger bodies are read, rendered and tokenised on threads of their own, so that a
  // long prompt delays nobody else. Huge ones, which take milliseconds, have one of these threads
  // and wait apart; more of either kind than may wait at once are refused.
  size_t inline_body_bytes = size_t{16} << 10;
  size_t huge_body_bytes = size_t{128} << 10;
  uint32_t long_prompt_threads = 2;
  size_t max_waiting_long_prompts = 64;
};

}  // namespace regatta
