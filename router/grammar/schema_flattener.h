// Schemas without combinations: $ref, allOf, anyOf, oneOf and nullable are taken apart into a list
// of plain alternatives.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "router/grammar/budget.h"
#include "router/grammar/schema_document.h"

namespace regatta::grammar {

// Most alternatives of one schema.
inline constexpr size_t kMaxAlternatives = 1024;

class SchemaFlattener {
 public:
  SchemaFlattener(const SchemaDocument& document, Budget& budget)
      : document_(document), budget_(budget) {}

  // The plain schemas one of which a value of `schema` has to match; none when nothing can. oneOf
  // counts as anyOf. A `const` has become an `enum`. Errors name the place.
  absl::StatusOr<std::vector<Schema>> Flatten(const Schema& schema);

 private:
  using Alternatives = std::vector<Schema>;

  absl::StatusOr<Alternatives> FlattenReference(const Schema& schema);
  // Adds the alternatives of each of `parts`.
  absl::Status AppendAll(const std::vector<Schema>& parts, Alternatives& out);
  // Every alternative of `left` together with every one of `right`.
  absl::StatusOr<Alternatives> Cross(const Alternatives& left, const Alternatives& right);

  const SchemaDocument& document_;
  Budget& budget_;
  std::vector<std::string> references_;  // Those being followed.
  int depth_ = 0;
};

}  // namespace regatta::grammar
