// See schema_checker.h.
#include "tests/router/grammar/schema_checker.h"

#include <cmath>
#include <regex>

namespace regatta {
namespace {

using Json = nlohmann::ordered_json;

bool IsOfType(const Json& value, const std::string& type) {
  if (type == "integer") {
    return value.is_number_integer() ||
           (value.is_number_float() && value.get<double>() == std::floor(value.get<double>()));
  }
  return value.type_name() == type;
}

size_t CodePoints(const std::string& text) {
  size_t count = 0;
  for (char c : text) count += (static_cast<uint8_t>(c) & 0xc0) != 0x80;
  return count;
}

class Checker {
 public:
  explicit Checker(const Json& root) : root_(root) {}

  std::string Check(const Json& schema, const Json& value) const {
    if (schema.is_boolean()) return schema == true ? "" : "nothing matches false";
    for (const auto& [keyword, argument] : schema.items()) {
      std::string problem = CheckKeyword(schema, keyword, argument, value);
      if (!problem.empty()) return keyword + ": " + problem;
    }
    return "";
  }

 private:
  std::string CheckKeyword(const Json& schema, const std::string& keyword, const Json& argument,
                           const Json& value) const {
    if (keyword == "type") return CheckType(argument, value);
    if (keyword == "enum") {
      for (const Json& one : argument) {
        if (one == value) return "";
      }
      return value.dump();
    }
    if (keyword == "const") return argument == value ? "" : value.dump();
    if (keyword == "$ref") return Check(Resolve(argument.get<std::string>()), value);
    if (keyword == "allOf" || keyword == "anyOf" || keyword == "oneOf") {
      return CheckCombination(keyword == "allOf", argument, value);
    }
    if (value.is_object()) return CheckObject(schema, keyword, argument, value);
    if (value.is_array()) return CheckArray(schema, keyword, argument, value);
    if (value.is_string()) return CheckString(keyword, argument, value.get<std::string>());
    if (value.is_number())
      return CheckNumber(keyword, argument.is_number() ? argument : Json(0), value);
    return "";
  }

  static std::string CheckType(const Json& argument, const Json& value) {
    const Json types = argument.is_array() ? argument : Json::array({argument});
    for (const Json& type : types) {
      if (IsOfType(value, type.get<std::string>())) return "";
    }
    return value.type_name();
  }

  std::string CheckCombination(bool all, const Json& schemas, const Json& value) const {
    std::string last;
    for (const Json& schema : schemas) {
      last = Check(schema, value);
      if (last.empty() != all) return last;
    }
    return last;
  }

  std::string CheckObject(const Json& schema, const std::string& keyword, const Json& argument,
                          const Json& value) const {
    if (keyword == "required") {
      for (const Json& name : argument) {
        if (!value.contains(name.get<std::string>())) return name.dump() + " is missing";
      }
    }
    for (const auto& [name, member] : value.items()) {
      const bool listed = schema.contains("properties") && schema["properties"].contains(name);
      std::string problem;
      if (keyword == "properties" && listed) problem = Check(argument[name], member);
      if (keyword == "additionalProperties" && !listed) problem = Check(argument, member);
      if (!problem.empty()) return name + ": " + problem;
    }
    return "";
  }

  std::string CheckArray(const Json& schema, const std::string& keyword, const Json& argument,
                         const Json& value) const {
    if (keyword == "minItems" && value.size() < argument) return "too few";
    if (keyword == "maxItems" && value.size() > argument) return "too many";
    const size_t prefix = schema.contains("prefixItems") ? schema["prefixItems"].size() : 0;
    for (size_t i = 0; i < value.size(); ++i) {
      std::string problem;
      if (keyword == "prefixItems" && i < prefix) problem = Check(argument[i], value[i]);
      if (keyword == "items" && i >= prefix) problem = Check(argument, value[i]);
      if (!problem.empty()) return problem;
    }
    return "";
  }

  static std::string CheckString(const std::string& keyword, const Json& argument,
                                 const std::string& text) {
    if (keyword == "minLength" && CodePoints(text) < argument) return "too short";
    if (keyword == "maxLength" && CodePoints(text) > argument) return "too long";
    if (keyword != "pattern") return "";
    return std::regex_search(text, std::regex(argument.get<std::string>())) ? "" : text;
  }

  static std::string CheckNumber(const std::string& keyword, const Json& argument,
                                 const Json& value) {
    const double limit = argument.get<double>(), number = value.get<double>();
    const bool bad = (keyword == "minimum" && number < limit) ||
                     (keyword == "maximum" && number > limit) ||
                     (keyword == "exclusiveMinimum" && number <= limit) ||
                     (keyword == "exclusiveMaximum" && number >= limit);
    return bad ? value.dump() : "";
  }

  const Json& Resolve(const std::string& reference) const {
    return root_.at(Json::json_pointer(reference.substr(1)));
  }

  const Json& root_;
};

}  // namespace

std::string CheckSchema(const Json& root, const Json& schema, const Json& value) {
  return Checker(root).Check(schema, value);
}

}  // namespace regatta
