// Reading of completion requests; see completion_request.h.
#include "router/openai/completion_request.h"

#include <algorithm>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "router/openai/answer_limits.h"
#include "router/openai/completion_answer.h"
#include "router/openai/json_reader.h"
#include "router/openai/prompt_tokens.h"
#include "router/openai/request_fields.h"
#include "router/openai/response_format.h"
#include "router/openai/sampling_fields.h"
#include "router/request.h"

namespace regatta {
namespace {

constexpr uint32_t kDefaultMaxTokens = 16;  // the API's

// One prompt, its text as given or as its tokens read.
struct Prompt {
  std::vector<uint32_t> tokens;
  std::string text;
};

struct CompletionFields {
  SharedFields shared;
  const OrderedJson* prompt = nullptr;
  bool echo = false;
  bool add_special_tokens = true;
  bool drop_output = false;  // max_tokens 0
};

void ReadCompletionLogprobs(RequestFields& fields, SamplingParams& sampling) {
  const auto top = fields.Integer("logprobs", 0, kMaxTopLogprobs);
  sampling.set_logprobs(top.has_value());
  sampling.set_top_logprobs(top.value_or(0));
}

void RefuseOtherApis(RequestFields& fields, uint32_t n) {
  fields.Refuse("suffix");
  const auto best_of = fields.Integer("best_of", 1, kMaxChoices);
  if (best_of && *best_of != n) {
    fields.Fail("best_of", absl::StrCat("is ", *best_of, "; only n (", n, ") is supported"));
  }
  for (const char* name : {"messages", "tools", "tool_choice", "top_logprobs",
                           "max_completion_tokens", "chat_template_kwargs"}) {
    fields.Refuse(name, "it belongs to /v1/chat/completions");
  }
  fields.Refuse("prompt_embeds");
}

absl::StatusOr<CompletionFields> ReadCompletionFields(const OpenAiContext& context,
                                                      const OrderedJson& body) {
  absl::Status status;
  RequestFields fields(body, "", status);
  RETURN_IF_ERROR(status);
  const std::optional<std::string> model = fields.String("model");
  RETURN_IF_ERROR(status);
  RETURN_IF_ERROR(CheckModel(model, context));
  CompletionFields completion;
  ReadSharedFields(fields, context, completion.shared);
  GenerateRequest& request = completion.shared.request;
  const int64_t max_tokens = fields.Integer("max_tokens", 0, std::numeric_limits<int32_t>::max())
                                 .value_or(kDefaultMaxTokens);
  completion.drop_output = max_tokens == 0;
  request.set_max_tokens(std::max<int64_t>(max_tokens, 1));
  ReadCompletionLogprobs(fields, *request.mutable_sampling());
  completion.echo = fields.Bool("echo", false);
  completion.add_special_tokens = fields.Bool("add_special_tokens", true);
  ReadResponseFormat(fields, request);
  completion.prompt = fields.Find("prompt");
  if (completion.prompt == nullptr) fields.Fail("prompt", "is missing");
  RefuseOtherApis(fields, completion.shared.n);
  fields.RefuseOthers();
  RETURN_IF_ERROR(status);
  RETURN_IF_ERROR(CheckMinTokens(request));
  request.set_prompt_logprobs(completion.echo && request.sampling().logprobs());
  return completion;
}

// Adds the prompt to `volume`, whose limits are kept before the text of tokens is made.
absl::StatusOr<Prompt> ReadPrompt(const OpenAiContext& context, const std::string& field,
                                  const OrderedJson& given, const CompletionFields& completion,
                                  RequestVolume& volume) {
  Prompt prompt;
  uint64_t text_bytes = 0;
  if (given.is_string()) {
    prompt.text = given.get<std::string>();
    text_bytes = prompt.text.size();
    ASSIGN_OR_RETURN(prompt.tokens,
                     TextTokens(context, field, prompt.text, completion.add_special_tokens,
                                context.max_seq_len()));
  } else if (given.is_array()) {
    ASSIGN_OR_RETURN(prompt.tokens, GivenTokens(context, field, given));
    if (completion.echo) text_bytes = BytesOf(*context.tokenizer, prompt.tokens);
  } else {
    return absl::InvalidArgumentError(absl::StrCat(field, ": is ", ShownValue(given),
                                                   "; expected a string or an array of token ids"));
  }
  const GenerateRequest& request = completion.shared.request;
  RETURN_IF_ERROR(
      CheckContextLength(field, prompt.tokens.size(), request.max_tokens(), context.max_seq_len()));
  RETURN_IF_ERROR(volume.Add(prompt.tokens.size(), request.max_tokens(),
                             completion.echo ? std::optional(text_bytes) : std::nullopt));
  if (completion.echo && given.is_array()) {
    prompt.text = TextOf(*context.tokenizer, prompt.tokens, request.skip_special_tokens());
  }
  return prompt;
}

// A text, an array of texts, of token ids, or of arrays of token ids.
absl::StatusOr<std::vector<Prompt>> ReadPrompts(const OpenAiContext& context,
                                                const CompletionFields& completion) {
  const OrderedJson& given = *completion.prompt;
  RequestVolume volume(completion.shared);
  std::vector<Prompt> prompts;
  const bool many = given.is_array() && !given.empty() && !given[0].is_number();
  if (!many) {
    ASSIGN_OR_RETURN(Prompt prompt, ReadPrompt(context, "prompt", given, completion, volume));
    prompts.push_back(std::move(prompt));
    return prompts;
  }
  if (given.size() * completion.shared.n > kMaxPrompts) {
    return absl::InvalidArgumentError(absl::StrCat("prompt: ", given.size(), " prompts times n ",
                                                   completion.shared.n, " are over the limit of ",
                                                   kMaxPrompts));
  }
  for (size_t i = 0; i < given.size(); ++i) {
    ASSIGN_OR_RETURN(Prompt prompt, ReadPrompt(context, absl::StrCat("prompt[", i, "]"), given[i],
                                               completion, volume));
    prompts.push_back(std::move(prompt));
  }
  return prompts;
}

}  // namespace

absl::StatusOr<PreparedRequest> PrepareCompletion(const OpenAiContext& context,
                                                  const HttpRequest& http) {
  ASSIGN_OR_RETURN(const OrderedJson body, ReadJson(http.body));
  ASSIGN_OR_RETURN(CompletionFields completion, ReadCompletionFields(context, body));
  if (context.tokenizer == nullptr) {
    return absl::InvalidArgumentError(absl::StrCat("model: ", context.model_names.front(),
                                                   " has no tokenizer.json and can write no text"));
  }
  ASSIGN_OR_RETURN(std::vector<Prompt> prompts, ReadPrompts(context, completion));
  SharedFields& shared = completion.shared;
  const bool logprobs = shared.request.sampling().logprobs();
  shared.request.set_return_token_ids(shared.return_token_ids || logprobs);
  CompletionAnswer answer{.identity = MakeIdentity("cmpl-", context),
                          .tokenizer = *context.tokenizer,
                          .prompts = {},
                          .n = shared.n,
                          .echo = completion.echo,
                          .drop_output = completion.drop_output,
                          .include_usage = shared.include_usage,
                          .continuous_usage = shared.continuous_usage,
                          .logprobs = logprobs,
                          .return_token_ids = shared.return_token_ids,
                          .skip_special_tokens = shared.request.skip_special_tokens()};
  PreparedRequest prepared{.choices = {},
                           .stream = shared.stream,
                           .writer = nullptr,
                           .schema_places = {{"#", kResponseSchema}}};
  for (Prompt& prompt : prompts) {
    answer.prompt_tokens += prompt.tokens.size();
    AddChoices(shared, prompt.tokens, http.id, prepared.choices);
    answer.prompts.push_back({.text = std::move(prompt.text), .ids = std::move(prompt.tokens)});
  }
  prepared.writer = MakeCompletionWriter(std::move(answer), shared.stream);
  return prepared;
}

}  // namespace regatta
