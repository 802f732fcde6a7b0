// Tokenizing as requests would be, without running them.
#include "router/openai/tokenize.h"

#include <limits>
#include <optional>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "common/text/utf8.h"
#include "router/openai/answer_limits.h"
#include "router/openai/answer_parts.h"
#include "router/openai/chat_request.h"
#include "router/openai/json_text.h"
#include "router/openai/prompt_tokens.h"
#include "router/openai/tools.h"

namespace regatta {
namespace {

std::string TokensJson(const OpenAiContext& context, const std::vector<uint32_t>& tokens,
                       bool with_strings) {
  std::string out = absl::StrCat("{\"count\":", tokens.size(),
                                 ",\"max_model_len\":", context.max_seq_len(), ",\"tokens\":");
  AppendIds(tokens, out);
  out += ",\"token_strs\":";
  if (!with_strings) {
    out += "null}";
    return out;
  }
  for (size_t i = 0; i < tokens.size(); ++i) {
    std::string text;
    AppendUtf8Lossy(context.tokenizer->TokenBytes(static_cast<int32_t>(tokens[i])), text);
    out.push_back(i == 0 ? '[' : ',');
    AppendJsonString(text, out);
  }
  out += tokens.empty() ? "[]}" : "]}";
  return out;
}

}  // namespace

absl::StatusOr<std::string> TokenizeJson(const OpenAiContext& context, const HttpRequest& http) {
  ASSIGN_OR_RETURN(const OrderedJson body, ReadJson(http.body));
  absl::Status status;
  RequestFields fields(body, "", status);
  RETURN_IF_ERROR(CheckModel(fields.String("model"), context, /*optional=*/true));
  const std::optional<std::string> text = fields.String("prompt");
  const bool with_strings = fields.Bool("return_token_strs", false);
  if (text) {
    const bool add_special_tokens = fields.Bool("add_special_tokens", true);
    fields.Refuse("messages", "prompt is given");
    fields.RefuseOthers();
    RETURN_IF_ERROR(status);
    ASSIGN_OR_RETURN(const auto tokens,
                     TextTokens(context, "prompt", *text, add_special_tokens, /*max_tokens=*/0));
    RETURN_IF_ERROR(CheckSum("prompt", tokens.size(), "tokens", kMaxTokenizedTokens));
    return TokensJson(context, tokens, with_strings);
  }
  const bool add_special_tokens = fields.Bool("add_special_tokens", false);
  ChatPrompt prompt = ReadChatPrompt(fields);
  const Tools tools = ReadTools(fields);
  if (tools.choice != Tools::kNone) prompt.tools = tools.definitions;
  fields.Refuse("chat_template", "the model's own is used");
  fields.RefuseOthers();
  RETURN_IF_ERROR(status);
  ASSIGN_OR_RETURN(const auto tokens,
                   ChatPromptTokens(context, prompt, add_special_tokens, /*max_tokens=*/0));
  RETURN_IF_ERROR(CheckSum("messages", tokens.size(), "tokens", kMaxTokenizedTokens));
  return TokensJson(context, tokens, with_strings);
}

absl::StatusOr<std::string> DetokenizeJson(const OpenAiContext& context, const HttpRequest& http) {
  ASSIGN_OR_RETURN(const OrderedJson body, ReadJson(http.body));
  absl::Status status;
  RequestFields fields(body, "", status);
  RETURN_IF_ERROR(CheckModel(fields.String("model"), context, /*optional=*/true));
  const OrderedJson* given = fields.Array("tokens", 0, std::numeric_limits<size_t>::max());
  if (given == nullptr) fields.Fail("tokens", "is missing");
  fields.RefuseOthers();
  RETURN_IF_ERROR(status);
  if (context.tokenizer == nullptr) {
    return absl::InvalidArgumentError(
        absl::StrCat("tokens: the model ", context.model_names.front(), " has no tokenizer.json"));
  }
  ASSIGN_OR_RETURN(const std::vector<uint32_t> tokens, GivenTokens(context, "tokens", *given));
  RETURN_IF_ERROR(CheckSum("tokens", BytesOf(*context.tokenizer, tokens), "bytes of text",
                           kMaxDetokenizedBytes));
  std::string out = "{\"prompt\":";
  AppendJsonString(TextOf(*context.tokenizer, tokens, /*skip_special_tokens=*/false), out);
  out += "}";
  return out;
}

}  // namespace regatta
