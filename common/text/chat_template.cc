// Templates, special tokens and the rendering of conversations; see chat_template.h.
#include "common/text/chat_template.h"

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <optional>
#include <sstream>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/jinja/template.h"
#include "common/jinja/text_search.h"
#include "common/jinja/unicode.h"
#include "common/json_text.h"
#include "common/status_macros.h"
#include "common/string_views.h"

namespace regatta {
namespace {

using Json = nlohmann::ordered_json;
using jinja::Dict;
using jinja::Template;
using jinja::Value;

constexpr uintmax_t kMaxFileBytes = 64 << 20;
constexpr const char* kTemplateFile = "chat_template.jinja";
constexpr const char* kConfigFile = "tokenizer_config.json";

// Nothing when there is no such file.
absl::StatusOr<std::optional<std::string>> ReadFile(const std::string& dir, const char* name) {
  const std::filesystem::path path = std::filesystem::path(dir) / name;
  std::error_code error;
  const uintmax_t size = std::filesystem::file_size(path, error);
  if (error == std::errc::no_such_file_or_directory) return std::nullopt;
  if (error) {
    return absl::InvalidArgumentError(
        absl::StrCat("cannot read ", path.string(), ": ", error.message()));
  }
  if (size > kMaxFileBytes) {
    return absl::InvalidArgumentError(
        absl::StrCat(path.string(), " has ", size, " bytes, the limit is ", kMaxFileBytes));
  }
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  if (!file) return absl::UnavailableError(absl::StrCat("cannot read ", path.string()));
  return std::move(text).str();
}

// A special token is a text, or an object with its "content".
void AddSpecialTokens(const Json& config, Dict& variables) {
  for (const char* name : {"bos_token", "eos_token", "unk_token", "sep_token", "pad_token",
                           "cls_token", "mask_token"}) {
    const auto found = config.find(name);
    if (found == config.end()) continue;
    const Json& token =
        found->is_object() && found->contains("content") ? (*found)["content"] : *found;
    if (token.is_string()) variables.Set(Value(name), Value(token.get<std::string>()));
  }
}

absl::Status Add(const char* name, const Json& json, Dict& variables) {
  ASSIGN_OR_RETURN(Value value, jinja::FromJson(json));
  variables.Set(Value(name), std::move(value));
  return absl::OkStatus();
}

// The first of the names that a message's reasoning goes by, or null.
const Json* FindReasoning(const Json& message) {
  for (const char* name : {"reasoning_content", "thinking", "reasoning"}) {
    const auto found = message.find(name);
    if (found != message.end() && !found->is_null()) return &*found;
  }
  return nullptr;
}

// As transformers: without members that are null, and with the reasoning under the names that
// templates read.
absl::StatusOr<Json> Normalized(const Json& messages) {
  if (!messages.is_array()) return absl::InvalidArgumentError("messages must be an array");
  Json normalized = Json::array();
  for (const Json& message : messages) {
    if (!message.is_object()) return absl::InvalidArgumentError("a message must be an object");
    const Json* reasoning = FindReasoning(message);
    Json one = Json::object();
    if (reasoning != nullptr && message.value("thinking", Json()).is_null()) {
      one["thinking"] = *reasoning;
    }
    for (const auto& [name, value] : message.items()) {
      if (!value.is_null()) one[name] = value;
    }
    if (reasoning != nullptr) one["reasoning_content"] = *reasoning;
    normalized.push_back(std::move(one));
  }
  return normalized;
}

// Put behind the final message and looked for in the text; templates may trim its blank.
constexpr std::string_view kMark = "CONTINUE_FINAL_MESSAGE_TAG ";

// Marks the end of the final message's text, which is its content or the last part that has any,
// and returns that text.
absl::StatusOr<std::string> MarkFinalMessage(Json& messages) {
  if (messages.empty()) return absl::InvalidArgumentError("there is no final message to continue");
  Json* text = nullptr;
  if (const auto content = messages.back().find("content"); content != messages.back().end()) {
    if (content->is_string()) text = &*content;
    for (size_t i = 0; content->is_array() && i < content->size(); ++i) {
      Json& part = (*content)[i];
      if (part.is_object() && part.contains("text")) text = &part["text"];
    }
  }
  if (text == nullptr || !text->is_string()) {
    return absl::InvalidArgumentError("the final message has no text that could be continued");
  }
  std::string unmarked = text->get<std::string>();
  *text = absl::StrCat(unmarked, View(kMark));
  return unmarked;
}

// Without the mark and what the template puts behind it; without blanks before it as well where
// the template trims.
absl::StatusOr<std::string> CutAtMark(std::string rendered, std::string_view final_text) {
  const size_t at = rendered.rfind(kMark.substr(0, kMark.size() - 1));
  const std::string_view stripped = jinja::Strip(final_text, jinja::Ends::kBoth);
  if (at == std::string::npos || jinja::FindText(rendered, stripped) == std::string_view::npos) {
    return absl::InvalidArgumentError(
        "the chat template changes the final message, so it cannot be continued");
  }
  const bool trims = rendered.compare(at, kMark.size(), kMark) != 0;
  rendered.resize(at);
  if (trims) rendered.resize(jinja::Strip(rendered, jinja::Ends::kRight).size());
  return rendered;
}

}  // namespace

struct ChatTemplate::Parts {
  std::optional<Template> plain;
  std::optional<Template> tool_use;  // for requests with tools; else `plain` is
  Dict variables;                    // special tokens

  // From tokenizer_config.json's chat_template: a text, or a list of {name, template}.
  absl::Status Take(const Json& given) {
    if (given.is_string()) return TakeText(given.get<std::string>(), plain);
    for (const Json& one : given) {
      if (!one.is_object() || !one.contains("name") || !one.contains("template") ||
          !one["template"].is_string()) {
        return absl::InvalidArgumentError("chat_template: expected {name, template} objects");
      }
      if (one["name"] == "default") {
        RETURN_IF_ERROR(TakeText(one["template"].get<std::string>(), plain));
      } else if (one["name"] == "tool_use") {
        RETURN_IF_ERROR(TakeText(one["template"].get<std::string>(), tool_use));
      }
    }
    if (plain.has_value()) return absl::OkStatus();
    return absl::InvalidArgumentError("chat_template: none is named 'default'");
  }

  static absl::Status TakeText(const std::string& source, std::optional<Template>& place) {
    ASSIGN_OR_RETURN(Template parsed, Template::Parse(source));
    place.emplace(std::move(parsed));
    return absl::OkStatus();
  }
};

ChatTemplate::ChatTemplate(std::unique_ptr<const Parts> parts) : parts_(std::move(parts)) {}
ChatTemplate::~ChatTemplate() = default;

absl::StatusOr<std::unique_ptr<ChatTemplate>> ChatTemplate::Load(const std::string& model_dir) {
  const auto in = [&model_dir](const std::string& file, const absl::Status& status) {
    const std::string path = std::filesystem::path(model_dir) / file;
    return absl::Status(status.code(), absl::StrCat(path, ": ", status.message()));
  };
  auto parts = std::make_unique<Parts>();
  ASSIGN_OR_RETURN(const auto config_text, ReadFile(model_dir, kConfigFile));
  Json config = Json::object();
  if (config_text) {
    config = Json::parse(*config_text, nullptr, /*allow_exceptions=*/false);
    if (config.is_discarded()) return in(kConfigFile, ParseJson(*config_text).status());
    if (!config.is_object()) {
      return in(kConfigFile, absl::InvalidArgumentError("is no JSON object"));
    }
  }
  AddSpecialTokens(config, parts->variables);
  ASSIGN_OR_RETURN(const auto source, ReadFile(model_dir, kTemplateFile));
  const auto given = config.find("chat_template");
  if (source) {
    const absl::Status status = Parts::TakeText(*source, parts->plain);
    if (!status.ok()) return in(kTemplateFile, status);
  } else if (given != config.end() && !given->is_null()) {
    const absl::Status status = parts->Take(*given);
    if (!status.ok()) return in(absl::StrCat(kConfigFile, ", chat_template"), status);
  } else {
    return absl::NotFoundError(absl::StrCat(model_dir, " has no chat template, neither ",
                                            kTemplateFile, " nor chat_template in ", kConfigFile));
  }
  return std::unique_ptr<ChatTemplate>(new ChatTemplate(std::move(parts)));
}

absl::StatusOr<std::unique_ptr<ChatTemplate>> ChatTemplate::FromText(std::string_view source,
                                                                     std::string_view bos_token,
                                                                     std::string_view eos_token) {
  auto parts = std::make_unique<Parts>();
  RETURN_IF_ERROR(Parts::TakeText(std::string(source), parts->plain));
  parts->variables.Set(Value("bos_token"), Value(bos_token));
  parts->variables.Set(Value("eos_token"), Value(eos_token));
  return std::unique_ptr<ChatTemplate>(new ChatTemplate(std::move(parts)));
}

absl::StatusOr<std::string> ChatTemplate::Render(const ChatInput& input) const {
  ASSIGN_OR_RETURN(Json messages, Normalized(input.messages));
  std::string final_text;
  if (input.continue_final_message) {
    ASSIGN_OR_RETURN(final_text, MarkFinalMessage(messages));
  }
  Dict variables = parts_->variables;
  if (input.variables != nullptr) {
    for (const auto& [name, value] : input.variables->items()) {
      RETURN_IF_ERROR(Add(name.c_str(), value, variables));
    }
  }
  RETURN_IF_ERROR(Add("messages", messages, variables));
  RETURN_IF_ERROR(Add("tools", input.tools != nullptr ? *input.tools : Json(), variables));
  RETURN_IF_ERROR(Add("documents", Json(), variables));
  RETURN_IF_ERROR(Add("add_generation_prompt", input.add_generation_prompt, variables));
  const bool for_tools = input.tools != nullptr && parts_->tool_use.has_value();
  const Template& chosen = for_tools ? *parts_->tool_use : *parts_->plain;
  ASSIGN_OR_RETURN(std::string text,
                   chosen.Render(variables, {kMaxSteps, kMaxOutputBytes}, input.now_s));
  if (!input.continue_final_message) return text;
  return CutAtMark(std::move(text), final_text);
}

}  // namespace regatta
