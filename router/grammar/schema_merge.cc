// Keyword by keyword; see schema_merge.h.
#include "router/grammar/schema_merge.h"

#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "router/grammar/schema_keywords.h"

namespace regatta::grammar {
namespace {

// Both of two schemas.
OrderedJson Both(const OrderedJson& a, const OrderedJson& b) {
  if (a == b || b == true) return a;
  if (a == true) return b;
  return {{"allOf", OrderedJson::array({a, b})}};
}

// The values that are in both lists.
OrderedJson Common(const OrderedJson& a, const OrderedJson& b) {
  OrderedJson common = OrderedJson::array();
  for (const OrderedJson& value : a) {
    if (std::find(b.begin(), b.end(), value) != b.end()) common.push_back(value);
  }
  return common;
}

absl::StatusOr<OrderedJson> MergeTypes(const Schema& a, const Schema& b) {
  ASSIGN_OR_RETURN(std::vector<std::string> left, ReadTypes(a));
  ASSIGN_OR_RETURN(std::vector<std::string> right, ReadTypes(b));
  auto has = [](const std::vector<std::string>& types, std::string_view type) {
    return std::find(types.begin(), types.end(), type) != types.end();
  };
  OrderedJson common = OrderedJson::array();
  for (const std::string& type : left) {
    if (has(right, type) || (type == "integer" && has(right, "number"))) common.push_back(type);
  }
  if (has(left, "number") && has(right, "integer") && !has(left, "integer")) {
    common.push_back("integer");
  }
  return common;
}

absl::Status MergeProperties(const Schema& b, OrderedJson& merged) {
  const OrderedJson& other = b.json.at("properties");
  OrderedJson& properties = merged["properties"];
  if (!other.is_object() || !properties.is_object()) {
    return b.Error("properties", "must be an object");
  }
  for (const auto& [name, schema] : other.items()) {
    properties[name] = properties.contains(name) ? Both(properties[name], schema) : schema;
  }
  return absl::OkStatus();
}

// Merges a keyword that both have with different values.
absl::Status MergeKeyword(const Schema& b, const std::string& keyword, OrderedJson& merged) {
  OrderedJson& value = merged[keyword];
  const OrderedJson& other = b.json.at(keyword);
  if (keyword == "properties") return MergeProperties(b, merged);
  if (keyword == "items") {
    value = Both(value, other);
  } else if (keyword == "required" && value.is_array() && other.is_array()) {
    for (const OrderedJson& name : other) {
      if (std::find(value.begin(), value.end(), name) == value.end()) value.push_back(name);
    }
  } else if (keyword == "enum" && value.is_array() && other.is_array()) {
    value = Common(value, other);
  } else if (value.is_number() && other.is_number()) {
    const bool larger = keyword.find("min") == 0 || keyword == "exclusiveMinimum";
    if (larger ? other > value : other < value) value = other;
  } else {
    return b.Error(keyword, "cannot be combined with another one by allOf, anyOf or $ref");
  }
  return absl::OkStatus();
}

// True when `a` says something of other properties, and `b` has properties that `a` does not list.
bool ClosesOut(const Schema& a, const Schema& b) {
  if (!a.Has("additionalProperties") || a.json.at("additionalProperties") == true) return false;
  if (!b.Has("properties") || !b.json.at("properties").is_object()) return false;
  for (const auto& [name, schema] : b.json.at("properties").items()) {
    if (!a.Has("properties") || !a.json.at("properties").contains(name)) return true;
  }
  return false;
}

}  // namespace

absl::StatusOr<std::optional<Schema>> MergeSchemas(const Schema& a, const Schema& b) {
  if (a.json.empty()) return b;
  if (b.json.empty()) return a;
  if (ClosesOut(a, b) || ClosesOut(b, a)) {
    return (ClosesOut(a, b) ? a : b)
        .Error("additionalProperties",
               "cannot be combined with properties of another schema (allOf, anyOf or $ref)");
  }
  Schema merged = a;
  if (a.Has("type") || b.Has("type")) {
    ASSIGN_OR_RETURN(OrderedJson types, MergeTypes(a, b));
    if (types.empty()) return std::nullopt;
    merged.json["type"] = std::move(types);
  }
  for (const auto& [keyword, value] : b.json.items()) {
    if (keyword == "type") continue;
    if (!merged.json.contains(keyword)) {
      merged.json[keyword] = value;
    } else if (merged.json[keyword] != value) {
      RETURN_IF_ERROR(MergeKeyword(b, keyword, merged.json));
    }
  }
  return merged;
}

}  // namespace regatta::grammar
