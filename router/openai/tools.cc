// Reading and checking of tools, and schemas of forced calls.
#include "router/openai/tools.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "common/string_views.h"

namespace regatta {
namespace {

void ReadTool(RequestFields& fields, const OrderedJson& tool, const std::string& path,
              Tools& tools) {
  RequestFields of_tool(tool, path, fields.status());
  const std::optional<std::string> type = of_tool.String("type");
  if (!type || *type != "function") of_tool.Fail("type", "expected 'function'");
  const OrderedJson* function = of_tool.Object("function");
  if (function == nullptr) return of_tool.Fail("function", "is missing");
  RequestFields of_function(*function, absl::StrCat(path, ".function"), fields.status());
  std::string name = of_function.String("name").value_or("");
  if (!IsToolName(name)) {
    of_function.Fail(
        "name", absl::StrCat("expected 1 to ", kMaxToolNameBytes, " letters, digits, '_' or '-'"));
  }
  if (std::find(tools.names.begin(), tools.names.end(), name) != tools.names.end()) {
    of_function.Fail("name", absl::StrCat("'", name, "' is given twice"));
  }
  of_function.String("description");
  of_function.Object("parameters");
  of_function.Bool("strict", false);  // Kept where a call is forced; a wish where it is not.
  of_function.RefuseOthers();
  of_tool.RefuseOthers();
  tools.names.push_back(std::move(name));
}

void ReadNamedChoice(RequestFields& fields, const OrderedJson& choice, Tools& tools) {
  RequestFields of_choice(choice, "tool_choice", fields.status());
  const std::optional<std::string> type = of_choice.String("type");
  if (!type || *type != "function") of_choice.Fail("type", "expected 'function'");
  const OrderedJson* function = of_choice.Object("function");
  of_choice.RefuseOthers();
  if (function == nullptr) return of_choice.Fail("function", "is missing");
  RequestFields of_function(*function, "tool_choice.function", fields.status());
  const std::string name = of_function.String("name").value_or("");
  of_function.RefuseOthers();
  const auto found = std::find(tools.names.begin(), tools.names.end(), name);
  if (found == tools.names.end()) {
    return of_function.Fail(
        "name", absl::StrCat("'", name.substr(0, kMaxToolNameBytes), "' is none of the tools"));
  }
  tools.choice = Tools::kNamed;
  tools.forced = found - tools.names.begin();
}

void ReadChoice(RequestFields& fields, Tools& tools) {
  const OrderedJson* choice = fields.Find("tool_choice");
  tools.choice = tools.names.empty() ? Tools::kNone : Tools::kAuto;
  if (choice == nullptr) return;
  if (choice->is_string() && *choice == "none") {
    tools.choice = Tools::kNone;
    return;
  }
  if (tools.names.empty()) return fields.Fail("tool_choice", "is given without tools");
  if (choice->is_object()) return ReadNamedChoice(fields, *choice, tools);
  if (choice->is_string() && *choice == "required") {
    tools.choice = Tools::kRequired;
  } else if (!choice->is_string() || *choice != "auto") {
    fields.Fail("tool_choice", absl::StrCat("is ", ShownValue(*choice),
                                            "; expected none, auto, required or a function"));
  }
}

// Arguments are an object also where a schema leaves it open.
OrderedJson ParametersOf(const OrderedJson& tool) {
  const OrderedJson& function = tool.at("function");
  const auto found = function.find("parameters");
  if (found == function.end() || found->is_null()) return {{"type", "object"}};
  OrderedJson parameters = *found;
  if (!parameters.contains("type")) parameters["type"] = "object";
  return parameters;
}

bool IsForced(const Tools& tools, size_t i) {
  return tools.choice == Tools::kRequired || (tools.choice == Tools::kNamed && tools.forced == i);
}

// What else a schema could force would be no call.
void CheckForcedParameters(RequestFields& fields, const Tools& tools) {
  for (size_t i = 0; i < tools.names.size() && fields.ok(); ++i) {
    if (!IsForced(tools, i)) continue;
    const OrderedJson parameters = ParametersOf((*tools.definitions)[i]);
    RequestFields of_parameters(parameters, absl::StrCat("tools[", i, "].function.parameters"),
                                fields.status());
    if (parameters.at("type") == "object") continue;
    of_parameters.Fail(
        "type", absl::StrCat("is ", ShownValue(parameters.at("type")), "; expected \"object\""));
  }
}

// Keywords whose members are named by the author, each a schema, and those that hold plain values.
bool HoldsNamedSchemas(std::string_view keyword) {
  return keyword == "properties" || keyword == "patternProperties" || keyword == "$defs" ||
         keyword == "definitions" || keyword == "dependentSchemas";
}
bool HoldsValues(std::string_view keyword) {
  return keyword == "const" || keyword == "enum" || keyword == "default" || keyword == "examples";
}

// Makes references to the root of `schema` ("#", "#/...") ones to `root`, where it will lie within
// another document. Recursion is as deep as the request's JSON, which is bounded.
void MoveReferences(std::string_view root, OrderedJson& schema, bool named = false) {
  if (schema.is_array()) {
    for (OrderedJson& element : schema) MoveReferences(root, element);
  }
  if (!schema.is_object()) return;
  for (auto& [key, value] : schema.get_ref<OrderedJson::object_t&>()) {
    if (!named && key == "$ref" && value.is_string()) {
      const std::string& reference = value.get_ref<const std::string&>();
      if (reference == "#" || reference.substr(0, 2) == "#/") {
        value = absl::StrCat(View(root), reference.substr(1));
      }
    } else if (named || !HoldsValues(key)) {
      MoveReferences(root, value, !named && HoldsNamedSchemas(key));
    }
  }
}

// Where the parameters of tool `i` lie in the schema of calls of any tool.
std::string PointerOfParameters(size_t i) {
  return absl::StrCat("#/items/anyOf/", i, "/properties/parameters");
}

}  // namespace

bool IsToolName(std::string_view name) {
  return !name.empty() && name.size() <= kMaxToolNameBytes &&
         std::all_of(name.begin(), name.end(),
                     [](char c) { return absl::ascii_isalnum(c) || c == '_' || c == '-'; });
}

Tools ReadTools(RequestFields& fields) {
  Tools tools;
  if (const OrderedJson* array = fields.Array("tools", 0, kMaxTools)) {
    for (size_t i = 0; i < array->size() && fields.ok(); ++i) {
      ReadTool(fields, (*array)[i], absl::StrCat("tools[", i, "]"), tools);
    }
    if (!array->empty()) tools.definitions = array;
  }
  ReadChoice(fields, tools);
  CheckForcedParameters(fields, tools);
  tools.parallel = fields.Bool("parallel_tool_calls", true);
  return tools;
}

std::string ForcedCallSchema(const Tools& tools) {
  if (tools.choice == Tools::kNamed) {
    return ParametersOf((*tools.definitions)[tools.forced]).dump();
  }
  OrderedJson root = {{"type", "array"}, {"minItems", 1}};
  if (!tools.parallel) root["maxItems"] = 1;
  OrderedJson calls = OrderedJson::array();
  for (size_t i = 0; i < tools.names.size(); ++i) {
    OrderedJson parameters = ParametersOf((*tools.definitions)[i]);
    MoveReferences(PointerOfParameters(i), parameters);
    calls.push_back(
        {{"type", "object"},
         {"properties",
          {{"name", {{"const", tools.names[i]}}}, {"parameters", std::move(parameters)}}},
         {"required", {"name", "parameters"}},
         {"additionalProperties", false}});
  }
  root["items"] = {{"anyOf", std::move(calls)}};
  return root.dump();
}

std::vector<SchemaPlace> ForcedCallPlaces(const Tools& tools) {
  const auto field = [](size_t i) { return absl::StrCat("tools[", i, "].function.parameters"); };
  if (tools.choice == Tools::kNamed) return {{"#", field(tools.forced)}};
  std::vector<SchemaPlace> places = {{"#", "tools", /*made=*/true}};
  for (size_t i = 0; i < tools.names.size(); ++i) {
    places.push_back({PointerOfParameters(i), field(i)});
  }
  return places;
}

}  // namespace regatta
