// Combinations of schemas; see schema_flattener.h.
#include "router/grammar/schema_flattener.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "router/grammar/schema_keywords.h"
#include "router/grammar/schema_merge.h"

namespace regatta::grammar {
namespace {

// The keywords of `schema` that constrain by themselves.
Schema WithoutCombinations(const Schema& schema) {
  Schema plain{OrderedJson::object(), schema.pointer};
  for (const auto& [keyword, value] : schema.json.items()) {
    const KeywordKind kind = *KindOf(keyword);
    if (kind == KeywordKind::kAnnotation || kind == KeywordKind::kCombination) continue;
    if (keyword == "uniqueItems") continue;  // False: checked.
    if (keyword != "const") plain.json[keyword] = value;
  }
  if (!schema.Has("const")) return plain;
  const OrderedJson& value = schema.json.at("const");
  const bool listed = !plain.Has("enum") ||
                      std::find(plain.json["enum"].begin(), plain.json["enum"].end(), value) !=
                          plain.json["enum"].end();
  plain.json["enum"] = listed ? OrderedJson::array({value}) : OrderedJson::array();
  return plain;
}

}  // namespace

absl::StatusOr<SchemaFlattener::Alternatives> SchemaFlattener::FlattenReference(
    const Schema& schema) {
  const OrderedJson& reference = schema.json.at("$ref");
  if (!reference.is_string()) return schema.Error("$ref", "must be a string");
  const std::string& target = reference.get_ref<const std::string&>();
  if (std::find(references_.begin(), references_.end(), target) != references_.end()) {
    return schema.Error("$ref", "leads back to itself without any text in between");
  }
  absl::StatusOr<Schema> resolved = document_.Resolve(target);
  if (!resolved.ok()) return schema.Error("$ref", resolved.status().message());
  references_.push_back(target);
  absl::StatusOr<Alternatives> result = Flatten(*resolved);
  references_.pop_back();
  return result;
}

absl::Status SchemaFlattener::AppendAll(const std::vector<Schema>& parts, Alternatives& out) {
  for (const Schema& part : parts) {
    ASSIGN_OR_RETURN(Alternatives alternatives, Flatten(part));
    std::move(alternatives.begin(), alternatives.end(), std::back_inserter(out));
    if (out.size() > kMaxAlternatives) {
      return part.Error(absl::StrCat("makes more than ", kMaxAlternatives, " alternatives"));
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<SchemaFlattener::Alternatives> SchemaFlattener::Cross(const Alternatives& left,
                                                                     const Alternatives& right) {
  Alternatives result;
  for (const Schema& a : left) {
    for (const Schema& b : right) {
      RETURN_IF_ERROR(budget_.CheckTime());
      ASSIGN_OR_RETURN(std::optional<Schema> merged, MergeSchemas(a, b));
      if (merged) result.push_back(*std::move(merged));
      if (result.size() > kMaxAlternatives) {
        return a.Error(absl::StrCat("makes more than ", kMaxAlternatives, " alternatives"));
      }
    }
  }
  return result;
}

absl::StatusOr<std::vector<Schema>> SchemaFlattener::Flatten(const Schema& schema) {
  RETURN_IF_ERROR(budget_.CheckTime());
  if (schema.json.is_boolean()) {
    if (schema.json == false) return Alternatives();
    return Alternatives{Schema{OrderedJson::object(), schema.pointer}};
  }
  if (!schema.json.is_object()) return schema.Error("must be an object, true or false");
  RETURN_IF_ERROR(CheckKeywords(schema));
  if (depth_ > kMaxSchemaDepth) return schema.Error("combines schemas too deeply");
  ++depth_;
  Alternatives result = {WithoutCombinations(schema)};
  auto cross = [&](const std::vector<Schema>& parts) -> absl::Status {
    if (parts.empty()) return absl::OkStatus();
    Alternatives alternatives;
    RETURN_IF_ERROR(AppendAll(parts, alternatives));
    ASSIGN_OR_RETURN(result, Cross(result, alternatives));
    return absl::OkStatus();
  };
  if (schema.Has("$ref")) {
    ASSIGN_OR_RETURN(Alternatives target, FlattenReference(schema));
    ASSIGN_OR_RETURN(result, Cross(result, target));
  }
  ASSIGN_OR_RETURN(std::vector<Schema> all, ReadSchemas(schema, "allOf"));
  for (const Schema& part : all) RETURN_IF_ERROR(cross({part}));
  for (const char* keyword : {"anyOf", "oneOf"}) {
    ASSIGN_OR_RETURN(std::vector<Schema> any, ReadSchemas(schema, keyword));
    RETURN_IF_ERROR(cross(any));
  }
  --depth_;
  if (schema.Has("nullable") && schema.json.at("nullable") == true) {
    result.push_back({{{"type", "null"}}, schema.pointer});
  }
  return result;
}

}  // namespace regatta::grammar
