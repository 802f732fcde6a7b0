// Table of keywords and checked reading; see schema_keywords.h.
#include "router/grammar/schema_keywords.h"

#include <algorithm>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "common/status_macros.h"

namespace regatta::grammar {
namespace {

using KeywordTable = absl::flat_hash_map<std::string_view, KeywordKind>;

KeywordTable MakeKeywordTable() {
  KeywordTable table;
  auto add = [&](KeywordKind kind, std::initializer_list<std::string_view> keywords) {
    for (std::string_view keyword : keywords) table[keyword] = kind;
  };
  add(KeywordKind::kAnnotation,
      {"title", "description", "default", "example", "examples", "deprecated", "readOnly",
       "writeOnly", "$schema", "$id", "id", "$comment", "$defs", "definitions", "contentEncoding",
       "contentMediaType", "discriminator", "externalDocs", "xml"});
  add(KeywordKind::kCombination, {"$ref", "allOf", "anyOf", "oneOf", "nullable"});
  add(KeywordKind::kAnyType, {"type", "enum", "const"});
  add(KeywordKind::kObject, {"properties", "required", "additionalProperties"});
  add(KeywordKind::kArray, {"items", "prefixItems", "minItems", "maxItems", "uniqueItems"});
  add(KeywordKind::kString, {"minLength", "maxLength", "pattern", "format"});
  add(KeywordKind::kNumber, {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"});
  return table;
}

constexpr std::string_view kTypes[] = {"object",  "array",   "string", "number",
                                       "integer", "boolean", "null"};

bool IsType(const OrderedJson& json) {
  return json.is_string() && std::find(std::begin(kTypes), std::end(kTypes),
                                       json.get_ref<const std::string&>()) != std::end(kTypes);
}

}  // namespace

std::optional<KeywordKind> KindOf(std::string_view keyword) {
  static const auto& table = *new KeywordTable(MakeKeywordTable());
  if (keyword.substr(0, 2) == "x-") return KeywordKind::kAnnotation;
  const auto found = table.find(keyword);
  if (found == table.end()) return std::nullopt;
  return found->second;
}

absl::Status CheckKeywords(const Schema& schema) {
  for (const auto& [keyword, value] : schema.json.items()) {
    const bool unique = keyword == "uniqueItems" && value != false;
    if (!KindOf(keyword) || unique) {
      return schema.Error(keyword.substr(0, 100), "is not supported in constrained output");
    }
  }
  return absl::OkStatus();
}

bool HasKind(const Schema& schema, KeywordKind kind) {
  if (!schema.json.is_object()) return false;
  for (const auto& [keyword, value] : schema.json.items()) {
    if (KindOf(keyword) == kind) return true;
  }
  return false;
}

absl::StatusOr<uint32_t> ReadCount(const Schema& schema, const char* keyword, uint32_t fallback) {
  if (!schema.Has(keyword)) return fallback;
  constexpr double kMax = uint32_t{1} << 31;
  const OrderedJson& value = schema.json.at(keyword);
  const double number = value.is_number() ? value.get<double>() : -1;
  if (!(number >= 0 && number <= kMax) || number != static_cast<uint32_t>(number)) {
    return schema.Error(keyword, "must be a whole number from 0 to 2147483648");
  }
  return static_cast<uint32_t>(number);
}

absl::StatusOr<std::vector<std::string>> ReadStrings(const Schema& schema, const char* keyword) {
  std::vector<std::string> strings;
  if (!schema.Has(keyword)) return strings;
  const OrderedJson& list = schema.json.at(keyword);
  if (!list.is_array()) return schema.Error(keyword, "must be a list of strings");
  for (const OrderedJson& item : list) {
    if (!item.is_string()) return schema.Error(keyword, "must be a list of strings");
    strings.push_back(item.get<std::string>());
  }
  return strings;
}

absl::StatusOr<std::vector<Schema>> ReadSchemas(const Schema& schema, const char* keyword) {
  std::vector<Schema> schemas;
  if (!schema.Has(keyword)) return schemas;
  const OrderedJson& list = schema.json.at(keyword);
  if (!list.is_array() || list.empty()) {
    return schema.Error(keyword, "must be a list of schemas, not an empty one");
  }
  for (size_t i = 0; i < list.size(); ++i) schemas.push_back(schema.At(keyword, i));
  return schemas;
}

absl::StatusOr<std::vector<std::string>> ReadTypes(const Schema& schema) {
  std::vector<std::string> types;
  if (schema.Has("type")) {
    const OrderedJson& type = schema.json.at("type");
    const OrderedJson list = type.is_array() ? type : OrderedJson::array({type});
    for (const OrderedJson& item : list) {
      if (!IsType(item)) {
        return schema.Error("type", absl::StrCat("must be one of object, array, string, number, "
                                                 "integer, boolean, null, or a list of these"));
      }
      types.push_back(item.get<std::string>());
    }
    return types;
  }
  if (HasKind(schema, KeywordKind::kObject)) types.push_back("object");
  if (HasKind(schema, KeywordKind::kArray)) types.push_back("array");
  if (HasKind(schema, KeywordKind::kString)) types.push_back("string");
  if (HasKind(schema, KeywordKind::kNumber)) types.push_back("number");
  if (!types.empty()) return types;
  return std::vector<std::string>(std::begin(kTypes), std::end(kTypes));
}

}  // namespace regatta::grammar
