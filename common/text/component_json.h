// What the readers of components share: types, flags, sequences. For .cc files only.
#pragma once

#include <string>

#include "absl/functional/function_ref.h"
#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "common/text/json_node.h"
#include "common/text/tokenizer_spec.h"

namespace regatta {

inline absl::Status UnsupportedComponent(const JsonNode& node, const std::string& type,
                                         const char* supported) {
  return absl::UnimplementedError(
      absl::StrCat(node.path(), ".type: \"", type, "\" is not supported (", supported, ")"));
}

// An optional boolean field.
inline absl::StatusOr<bool> OptionalFlag(const JsonNode& node, const char* key, bool otherwise) {
  if (!node.Has(key)) return otherwise;
  ASSIGN_OR_RETURN(JsonNode field, node.Get(key));
  return field.Bool();
}

inline absl::StatusOr<std::string> StringField(const JsonNode& node, const char* key) {
  ASSIGN_OR_RETURN(JsonNode field, node.Get(key));
  return field.String();
}

using VisitComponent =
    absl::FunctionRef<absl::Status(const JsonNode& node, const std::string& type)>;

// Calls `visit` for a component, or for each member of a Sequence, whose list is called `list`;
// sequences nest to a bounded depth.
absl::Status ForEachComponent(const JsonNode& node, const char* list, VisitComponent visit,
                              int depth = 0);

// The fields of a Replace (normaliser or decoder) and of a Metaspace (pre-tokeniser or decoder).
absl::StatusOr<ReplaceRule> ParseReplace(const JsonNode& node);
absl::StatusOr<MetaspaceRule> ParseMetaspace(const JsonNode& node);

// Reads the decoder of the document `root` into `spec`.
absl::Status ParseDecoder(const JsonNode& root, TokenizerSpec& spec);

}  // namespace regatta
