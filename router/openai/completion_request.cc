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
#include "common/text/utf8.h"
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
  std::vector<uint64_t> offsets;  // of the tokens in the text; with echo and logprobs
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
  if (!fields.String("suffix").value_or("").empty()) fields.Fail("suffix", "is not supported");
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

// Where the tokens of a text begin in it. What the tokenizer dropped at its beginning (a space) is
// shown; where it changed more (composed characters), the text becomes what the tokens say.
void PlaceTokens(const Tokenizer& tokenizer, bool add_special_tokens, Prompt& prompt) {
  const size_t before = add_special_tokens ? tokenizer.prefix_size() : 0;
  const size_t behind = add_special_tokens ? tokenizer.suffix_size() : 0;
  const absl::Span<const uint32_t> own =
      absl::MakeConstSpan(prompt.tokens).subspan(before, prompt.tokens.size() - before - behind);
  std::string read = TextOf(tokenizer, own, /*skip_special_tokens=*/false);
  const size_t characters = CharacterCount(read);
  if (!prompt.text.ends_with(read)) prompt.text = std::move(read);
  const size_t dropped = CharacterCount(prompt.text) - characters;
  prompt.offsets.assign(before, 0);
  for (const uint64_t offset : OffsetsOf(tokenizer, own, /*skip_special_tokens=*/false)) {
    const bool first = prompt.offsets.size() == before;
    prompt.offsets.push_back(first ? 0 : offset + dropped);
  }
  prompt.offsets.resize(prompt.tokens.size(), characters + dropped);
}

// Whether output is the middle of a text that these tokens begin.
bool ShowsText(const Tokenizer& tokenizer, absl::Span<const uint32_t> tokens,
               bool skip_special_tokens) {
  return std::any_of(tokens.begin(), tokens.end(), [&](uint32_t token) {
    const bool hidden = skip_special_tokens && tokenizer.IsSpecial(static_cast<int32_t>(token));
    return !hidden && !tokenizer.TokenBytes(static_cast<int32_t>(token)).empty();
  });
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
  RETURN_IF_ERROR(CheckContextLength(field, prompt.tokens.size(),
                                     completion.drop_output ? 0 : request.max_tokens(),
                                     context.max_seq_len()));
  RETURN_IF_ERROR(volume.Add(prompt.tokens.size(), request.max_tokens(),
                             completion.echo ? std::optional(text_bytes) : std::nullopt));
  const Tokenizer& tokenizer = *context.tokenizer;
  const bool placed = request.prompt_logprobs();
  if (completion.echo && given.is_array()) {
    const bool skip_special_tokens = request.skip_special_tokens();
    prompt.text = TextOf(tokenizer, prompt.tokens, skip_special_tokens);
    if (placed) prompt.offsets = OffsetsOf(tokenizer, prompt.tokens, skip_special_tokens);
  } else if (placed) {
    PlaceTokens(tokenizer, completion.add_special_tokens, prompt);
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
    const bool shows_text =
        ShowsText(*context.tokenizer, prompt.tokens, shared.request.skip_special_tokens());
    shared.request.set_continue_text(shows_text);
    AddChoices(shared, prompt.tokens, http.id, prepared.choices);
    answer.prompts.push_back({.text = std::move(prompt.text),
                              .shows_text = shows_text,
                              .ids = std::move(prompt.tokens),
                              .offsets = std::move(prompt.offsets)});
  }
  prepared.writer = MakeCompletionWriter(std::move(answer), shared.stream);
  return prepared;
}

}  // namespace regatta
