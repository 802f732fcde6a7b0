// A JSON Schema as a document: bounded parsing, and what references point to.
#pragma once

#include <cstddef>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "router/grammar/output_constraint.h"

namespace regatta::grammar {

// Keeps members in the order given: that is the order in which properties are written.
using OrderedJson = nlohmann::ordered_json;

inline constexpr int kMaxSchemaDepth = 64;

// A schema and where it stands: a JSON pointer in the notation "#/properties/a".
struct Schema {
  OrderedJson json;
  std::string pointer = "#";

  absl::Status Error(absl::string_view what) const;
  // The same, naming a member of the schema, and the beginning of its value if it is there.
  absl::Status Error(absl::string_view key, absl::string_view what,
                     absl::StatusCode code = absl::StatusCode::kInvalidArgument) const;
  bool Has(const char* key) const { return json.is_object() && json.contains(key); }
  // The schema at member `key`, or below it.
  Schema At(const std::string& key) const;
  Schema At(const std::string& key, const std::string& name) const;
  Schema At(const std::string& key, size_t index) const;
};

class SchemaDocument {
 public:
  // INVALID_ARGUMENT: not JSON, or nested deeper than kMaxSchemaDepth, or longer than
  // kMaxSchemaBytes.
  static absl::StatusOr<SchemaDocument> Parse(std::string_view text);

  Schema Root() const { return {root_, "#"}; }
  // What "#", "#/..." points to. INVALID_ARGUMENT for everything else.
  absl::StatusOr<Schema> Resolve(const std::string& reference) const;

 private:
  explicit SchemaDocument(OrderedJson root) : root_(std::move(root)) {}

  OrderedJson root_;
};

}  // namespace regatta::grammar
