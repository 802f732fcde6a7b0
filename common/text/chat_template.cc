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
#include "common/jinja/unicode.h"
#include "common/status_macros.h"

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
  if (error) return std::nullopt;
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

absl::Status In(const std::string& file, const absl::Status& status) {
  return absl::Status(status.code(), absl::StrCat(file, ": ", status.message()));
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

// Text of a message: a string, or the last part of a list.
absl::StatusOr<std::string> TextOf(const Json& message) {
  const auto content = message.find("content");
  if (content != message.end() && content->is_string()) return content->get<std::string>();
  if (content != message.end() && content->is_array() && !content->empty()) {
    const Json& part = content->back();
    if (part.is_object() && part.contains("text") && part["text"].is_string()) {
      return part["text"].get<std::string>();
    }
  }
  return absl::InvalidArgumentError("the final message has no text that could be continued");
}

// Without what the template puts behind the final message.
absl::StatusOr<std::string> CutBehind(std::string rendered, const Json& messages) {
  if (messages.empty()) return absl::InvalidArgumentError("there is no final message to continue");
  ASSIGN_OR_RETURN(const std::string text, TextOf(messages.back()));
  const std::string stripped(jinja::Strip(text, jinja::Ends::kBoth));
  const size_t at = rendered.rfind(stripped);
  if (at == std::string::npos) {
    return absl::InvalidArgumentError(
        "the chat template changes the final message, so it cannot be continued");
  }
  const bool whole = rendered.compare(at, text.size(), text) == 0;
  rendered.resize(at + (whole ? text.size() : stripped.size()));
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
  auto parts = std::make_unique<Parts>();
  ASSIGN_OR_RETURN(const auto config_text, ReadFile(model_dir, kConfigFile));
  Json config = Json::object();
  if (config_text) {
    config = Json::parse(*config_text, nullptr, /*allow_exceptions=*/false);
    if (!config.is_object()) {
      return absl::InvalidArgumentError(absl::StrCat(kConfigFile, ": is no JSON object"));
    }
  }
  AddSpecialTokens(config, parts->variables);
  ASSIGN_OR_RETURN(const auto source, ReadFile(model_dir, kTemplateFile));
  const auto given = config.find("chat_template");
  if (source) {
    const absl::Status status = Parts::TakeText(*source, parts->plain);
    if (!status.ok()) return In(kTemplateFile, status);
  } else if (given != config.end() && !given->is_null()) {
    const absl::Status status = parts->Take(*given);
    if (!status.ok()) return In(kConfigFile, status);
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
  Dict variables = parts_->variables;
  RETURN_IF_ERROR(Add("messages", input.messages, variables));
  RETURN_IF_ERROR(Add("tools", input.tools != nullptr ? *input.tools : Json(), variables));
  RETURN_IF_ERROR(Add("documents", Json(), variables));
  RETURN_IF_ERROR(Add("add_generation_prompt", input.add_generation_prompt, variables));
  if (input.variables != nullptr) {
    for (const auto& [name, value] : input.variables->items()) {
      RETURN_IF_ERROR(Add(name.c_str(), value, variables));
    }
  }
  const bool for_tools = input.tools != nullptr && parts_->tool_use.has_value();
  const Template& chosen = for_tools ? *parts_->tool_use : *parts_->plain;
  ASSIGN_OR_RETURN(std::string text,
                   chosen.Render(variables, {kMaxSteps, kMaxOutputBytes}, input.now_s));
  if (!input.continue_final_message) return text;
  return CutBehind(std::move(text), input.messages);
}

}  // namespace regatta
