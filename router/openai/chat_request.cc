// Reading of chat requests; see chat_request.h.
#include "router/openai/chat_request.h"

#include <algorithm>
#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/status_macros.h"
#include "router/openai/answer_limits.h"
#include "router/openai/chat_answer.h"
#include "router/openai/chat_messages.h"
#include "router/openai/prompt_tokens.h"
#include "router/openai/response_format.h"
#include "router/openai/sampling_fields.h"
#include "router/openai/tools.h"
#include "router/request.h"

namespace regatta {
namespace {

constexpr size_t kMaxTemplateVariables = 64;

// Simple values only: a template loops over what it is given.
const OrderedJson* ReadVariables(RequestFields& fields) {
  const OrderedJson* variables = fields.Object("chat_template_kwargs");
  if (variables == nullptr) return nullptr;
  if (variables->size() > kMaxTemplateVariables) {
    fields.Fail("chat_template_kwargs",
                absl::StrCat("has ", variables->size(), " keys; at most ", kMaxTemplateVariables));
  }
  for (const auto& [name, value] : variables->get_ref<const OrderedJson::object_t&>()) {
    const bool reserved = name == "messages" || name == "tools" || name == "chat_template" ||
                          name == "add_generation_prompt" || name == "bos_token" ||
                          name == "eos_token";
    if (!reserved && !value.is_structured()) continue;
    fields.Fail("chat_template_kwargs",
                absl::StrCat("has '", name.substr(0, 64), "', which ",
                             reserved ? "is not the caller's to set"
                                      : "is no string, number, boolean or null"));
    break;
  }
  return variables;
}

// max_tokens is the older name of max_completion_tokens. 0 = what the context allows.
uint32_t ReadMaxTokens(RequestFields& fields) {
  constexpr int64_t kMost = std::numeric_limits<int32_t>::max();
  const auto older = fields.Integer("max_tokens", 1, kMost);
  const auto newer = fields.Integer("max_completion_tokens", 1, kMost);
  if (older && newer && *older != *newer) {
    fields.Fail("max_completion_tokens",
                absl::StrCat("is ", *newer, ", but max_tokens is ", *older));
  }
  return newer.value_or(older.value_or(0));
}

// logprobs is a switch here, top_logprobs a number.
void ReadChatLogprobs(RequestFields& fields, SamplingParams& sampling) {
  sampling.set_logprobs(fields.Bool("logprobs", false));
  const auto top = fields.Integer("top_logprobs", 0, kMaxTopLogprobs);
  if (top.value_or(0) > 0 && !sampling.logprobs()) {
    fields.Fail("top_logprobs", "is given without logprobs");
  }
  sampling.set_top_logprobs(top.value_or(0));
}

void RefuseOtherApis(RequestFields& fields) {
  fields.Refuse("functions", "use tools");
  fields.Refuse("function_call", "use tool_choice");
  fields.Refuse("chat_template", "the model's own is used");
  for (const char* name :
       {"audio", "prediction", "web_search_options", "reasoning_effort", "verbosity", "echo",
        "best_of", "documents", "mm_processor_kwargs", "add_special_tokens"}) {
    fields.Refuse(name);
  }
  const OrderedJson* modalities = fields.Array("modalities", 1, 1);
  if (modalities != nullptr && (*modalities)[0] != "text") {
    fields.Fail("modalities", "holds something other than 'text', all that this model writes");
  }
}

// Some models' tags of calls are special tokens, which would not be in the text.
bool HasSpecialTags(const OpenAiContext& context) {
  if (context.tool_syntax != ToolCallSyntax::kHermes || context.tokenizer == nullptr) return false;
  const std::optional<int32_t> tag = context.tokenizer->TokenId(kToolCallTag);
  return tag && context.tokenizer->IsSpecial(*tag);
}

// What the request's tools mean for prompt, output and answer.
absl::StatusOr<ToolUse> UseTools(const OpenAiContext& context, const Tools& tools,
                                 ChatPrompt& prompt, GenerateRequest& request) {
  ToolUse use;
  if (tools.choice == Tools::kNone) return use;
  if (request.has_constraint()) {
    return absl::InvalidArgumentError(
        "response_format: leaves no room for calls of tools; set tool_choice to none");
  }
  prompt.tools = tools.definitions;
  use.names = tools.names;
  use.parallel = tools.parallel;
  if (tools.choice == Tools::kAuto) {
    use.syntax = context.tool_syntax;
    if (HasSpecialTags(context)) request.set_skip_special_tokens(false);
    if (use.syntax != ToolCallSyntax::kNone) return use;
    return absl::InvalidArgumentError(
        "tools: it is not known how this model writes calls; only tool_choice none, required or a "
        "function can be served");
  }
  if (tools.choice == Tools::kNamed) use.forced = tools.names[tools.forced];
  if (tools.choice == Tools::kRequired) use.syntax = ToolCallSyntax::kJsonArray;
  RETURN_IF_ERROR(SetSchema("tools", ForcedCallSchema(tools), request));
  return use;
}

struct ChatFields {
  SharedFields shared;
  ChatPrompt prompt;
  ToolUse tools;
  std::vector<SchemaPlace> schema_places = {{"#", kResponseSchema}};
};

absl::StatusOr<ChatFields> ReadChatFields(const OpenAiContext& context, const OrderedJson& body) {
  absl::Status status;
  RequestFields fields(body, "", status);
  RETURN_IF_ERROR(status);
  const std::optional<std::string> model = fields.String("model");
  RETURN_IF_ERROR(status);
  RETURN_IF_ERROR(CheckModel(model, context));
  ChatFields chat;
  ReadSharedFields(fields, context, chat.shared);
  GenerateRequest& request = chat.shared.request;
  request.set_max_tokens(ReadMaxTokens(fields));
  ReadChatLogprobs(fields, *request.mutable_sampling());
  chat.prompt = ReadChatPrompt(fields);
  const Tools tools = ReadTools(fields);
  ReadResponseFormat(fields, request);
  RefuseOtherApis(fields);
  fields.RefuseOthers();
  RETURN_IF_ERROR(status);
  RETURN_IF_ERROR(CheckMinTokens(request));
  const bool forced = tools.choice == Tools::kNamed || tools.choice == Tools::kRequired;
  if (forced) chat.schema_places = ForcedCallPlaces(tools);
  ASSIGN_OR_RETURN(chat.tools, UseTools(context, tools, chat.prompt, request));
  return chat;
}

}  // namespace

ChatPrompt ReadChatPrompt(RequestFields& fields) {
  ChatPrompt prompt;
  prompt.messages = ReadMessages(fields);
  prompt.variables = ReadVariables(fields);
  prompt.continue_final_message = fields.Bool("continue_final_message", false);
  prompt.add_generation_prompt =
      fields.Bool("add_generation_prompt", !prompt.continue_final_message);
  if (prompt.continue_final_message && prompt.add_generation_prompt) {
    fields.Fail("continue_final_message", "cannot be had together with add_generation_prompt");
  }
  if (fields.ok() && prompt.continue_final_message &&
      prompt.messages.back()["role"] != "assistant") {
    fields.Fail("continue_final_message", "the final message is not the assistant's");
  }
  return prompt;
}

absl::StatusOr<std::vector<uint32_t>> ChatPromptTokens(const OpenAiContext& context,
                                                       const ChatPrompt& prompt,
                                                       bool add_special_tokens,
                                                       uint32_t max_tokens) {
  if (!context.render_chat) {
    return absl::InvalidArgumentError(absl::StrCat("messages: the model ",
                                                   context.model_names.front(),
                                                   " has no chat template; use /v1/completions"));
  }
  const ChatInput input{.messages = prompt.messages,
                        .tools = prompt.tools,
                        .variables = prompt.variables,
                        .add_generation_prompt = prompt.add_generation_prompt,
                        .continue_final_message = prompt.continue_final_message,
                        .now_s = absl::ToUnixSeconds(absl::Now())};
  const absl::StatusOr<std::string> text = context.render_chat(input);
  if (!text.ok()) {
    return absl::InvalidArgumentError(absl::StrCat("messages: ", text.status().message()));
  }
  return TextTokens(context, "messages", *text, add_special_tokens, max_tokens);
}

absl::StatusOr<PreparedRequest> PrepareChat(const OpenAiContext& context, const HttpRequest& http) {
  ASSIGN_OR_RETURN(const OrderedJson body, ReadJson(http.body));
  ASSIGN_OR_RETURN(ChatFields chat, ReadChatFields(context, body));
  ASSIGN_OR_RETURN(
      std::vector<uint32_t> tokens,
      ChatPromptTokens(context, chat.prompt, /*add_special_tokens=*/false, context.max_seq_len()));
  SharedFields& shared = chat.shared;
  const uint64_t max_tokens = shared.request.max_tokens();
  const uint32_t max_seq_len = context.max_seq_len();
  RETURN_IF_ERROR(CheckContextLength("messages", tokens.size(), max_tokens, max_seq_len));
  const uint64_t context_left = max_seq_len - std::min<uint64_t>(max_seq_len, tokens.size());
  RETURN_IF_ERROR(RequestVolume(shared).Add(
      tokens.size(), max_tokens > 0 ? max_tokens : context_left, /*echoed_bytes=*/std::nullopt));
  const bool logprobs = shared.request.sampling().logprobs();
  shared.request.set_return_token_ids(shared.return_token_ids || logprobs);
  shared.request.set_continue_text(chat.prompt.continue_final_message);
  ChatAnswer answer{.identity = MakeIdentity("chatcmpl-", context),
                    .tokenizer = *context.tokenizer,
                    .n = shared.n,
                    .prompt_tokens = tokens.size(),
                    .include_usage = shared.include_usage,
                    .continuous_usage = shared.continuous_usage,
                    .logprobs = logprobs,
                    .return_token_ids = shared.return_token_ids,
                    .prompt_ids = {},
                    .tools = std::move(chat.tools)};
  if (shared.return_token_ids) answer.prompt_ids = tokens;
  PreparedRequest prepared{.choices = {},
                           .stream = shared.stream,
                           .writer = nullptr,
                           .schema_places = std::move(chat.schema_places)};
  AddChoices(shared, tokens, http.id, prepared.choices);
  prepared.writer = shared.stream ? MakeChatStreamWriter(std::move(answer))
                                  : MakeChatWholeWriter(std::move(answer));
  return prepared;
}

}  // namespace regatta
