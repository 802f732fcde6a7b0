// Two plain schemas as one that asks for both.
#pragma once

#include <optional>

#include "absl/status/statusor.h"
#include "router/grammar/schema_document.h"

namespace regatta::grammar {

// `a` and `b` have no combinations ($ref, allOf, ...) at their top. nullopt: no value matches both.
// INVALID_ARGUMENT names the keyword that cannot be merged: two different patterns, formats, lists
// of prefixItems; or additionalProperties of one beside properties of the other.
absl::StatusOr<std::optional<Schema>> MergeSchemas(const Schema& a, const Schema& b);

}  // namespace regatta::grammar
