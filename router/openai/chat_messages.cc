// Reading of messages; see chat_messages.h.
#include "router/openai/chat_messages.h"

#include <optional>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "router/openai/tools.h"

namespace regatta {
namespace {

constexpr size_t kMaxNameBytes = 256;  // of people and calls
constexpr const char* kRoles = "system, developer, user, assistant or tool";

void AppendPart(RequestFields& message, const OrderedJson& part, size_t index, std::string& text) {
  const std::string path = absl::StrCat(message.PathOf("content"), "[", index, "]");
  RequestFields of_part(part, path, message.status());
  const std::string type = of_part.String("type").value_or("");
  if (type != "text") {
    return of_part.Fail("type", absl::StrCat("'", type.substr(0, 64),
                                             "' is not supported: this model reads text only"));
  }
  const std::optional<std::string> more = of_part.String("text");
  of_part.RefuseOthers();
  if (!more) return of_part.Fail("text", "is missing");
  if (index > 0) text += '\n';
  text += *more;
}

// The text of a message; nullopt when it has none.
std::optional<std::string> ReadContent(RequestFields& message) {
  const OrderedJson* content = message.Find("content");
  if (content == nullptr) return std::nullopt;
  if (content->is_string()) return content->get<std::string>();
  std::string text;
  if (!content->is_array()) {
    message.Fail("content", absl::StrCat("is ", ShownValue(*content),
                                         "; expected a string or an array of parts"));
    return text;
  }
  if (message.Array("content", 1, kMaxContentParts) == nullptr) return text;
  for (size_t i = 0; i < content->size(); ++i) AppendPart(message, (*content)[i], i, text);
  return text;
}

// The arguments of an earlier call, as an object; templates write it in the model's own way.
OrderedJson ReadArguments(RequestFields& function) {
  const std::optional<std::string> text = function.String("arguments");
  if (!text || text->empty()) return OrderedJson::object();
  absl::StatusOr<OrderedJson> arguments = ReadJson(*text);
  if (arguments.ok() && arguments->is_object()) return *std::move(arguments);
  function.Fail("arguments", "expected a JSON object, written as a string");
  return OrderedJson::object();
}

OrderedJson ReadCall(RequestFields& message, const OrderedJson& call, size_t index) {
  const std::string path = absl::StrCat(message.PathOf("tool_calls"), "[", index, "]");
  RequestFields of_call(call, path, message.status());
  const std::string id = of_call.String("id", kMaxNameBytes).value_or("");
  const std::string type = of_call.String("type").value_or("function");
  if (type != "function") of_call.Fail("type", "expected 'function'");
  of_call.Ignore("index");  // Left over where a client joined the chunks of a stream.
  const OrderedJson* function = of_call.Object("function");
  of_call.RefuseOthers();
  if (function == nullptr) {
    of_call.Fail("function", "is missing");
    return {};
  }
  RequestFields of_function(*function, absl::StrCat(path, ".function"), message.status());
  const std::string name = of_function.String("name", kMaxNameBytes).value_or("");
  if (name.empty()) of_function.Fail("name", "is missing");
  OrderedJson arguments = ReadArguments(of_function);
  of_function.RefuseOthers();
  return {{"id", id},
          {"type", "function"},
          {"function", {{"name", name}, {"arguments", std::move(arguments)}}}};
}

void ReadAssistantFields(RequestFields& message, OrderedJson& out) {
  if (const OrderedJson* calls = message.Array("tool_calls", 0, kMaxTools);
      calls != nullptr && !calls->empty()) {
    OrderedJson read = OrderedJson::array();
    for (size_t i = 0; i < calls->size() && message.ok(); ++i) {
      read.push_back(ReadCall(message, (*calls)[i], i));
    }
    out["tool_calls"] = std::move(read);
  }
  for (const char* name : {"reasoning_content", "refusal"}) {
    if (std::optional<std::string> text = message.String(name)) out[name] = *std::move(text);
  }
  message.Array("annotations", 0, 0);
  message.Refuse("audio");
  message.Refuse("function_call", "use tool_calls");
}

OrderedJson ReadMessage(RequestFields& fields, const OrderedJson& given, size_t index) {
  RequestFields message(given, absl::StrCat("messages[", index, "]"), fields.status());
  const std::string role = message.String("role").value_or("");
  const bool system = role == "system" || role == "developer";
  if (!system && role != "user" && role != "assistant" && role != "tool") {
    message.Fail("role", absl::StrCat("is '", role.substr(0, 64), "'; expected ", kRoles));
    return {};
  }
  OrderedJson out = {{"role", system ? "system" : role}};
  const std::optional<std::string> content = ReadContent(message);
  out["content"] = content.value_or("");
  if (const auto name = message.String("name", kMaxNameBytes)) out["name"] = *name;
  if (role == "assistant") ReadAssistantFields(message, out);
  if (role == "tool") {
    out["tool_call_id"] = message.String("tool_call_id", kMaxNameBytes).value_or("");
  }
  const bool says = content || out.contains("tool_calls") || out.contains("refusal");
  if (!says) message.Fail("content", "is missing");
  message.RefuseOthers();
  return out;
}

}  // namespace

OrderedJson ReadMessages(RequestFields& fields) {
  OrderedJson messages = OrderedJson::array();
  const OrderedJson* given = fields.Array("messages", 1, kMaxMessages);
  if (given == nullptr) {
    fields.Fail("messages", "is missing");
    return messages;
  }
  for (size_t i = 0; i < given->size() && fields.ok(); ++i) {
    messages.push_back(ReadMessage(fields, (*given)[i], i));
  }
  return messages;
}

}  // namespace regatta
