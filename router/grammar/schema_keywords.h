// The keywords of JSON Schema that are understood, and typed access to their values.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "router/grammar/schema_document.h"

namespace regatta::grammar {

// What one keyword speaks about.
enum class KeywordKind { kAnnotation, kCombination, kAnyType, kObject, kArray, kString, kNumber };

// nullopt: not understood.
std::optional<KeywordKind> KindOf(std::string_view keyword);

// INVALID_ARGUMENT names the first keyword of `schema` that is not understood, and where it is.
absl::Status CheckKeywords(const Schema& schema);

// True when `schema` has a keyword of `kind`.
bool HasKind(const Schema& schema, KeywordKind kind);

// The value of a keyword that must be a whole number from 0 to 2^31; `fallback` when it is absent.
absl::StatusOr<uint32_t> ReadCount(const Schema& schema, const char* keyword, uint32_t fallback);

// The value of a keyword that must be a list of strings, or of a list of schemas; empty when it is
// absent.
absl::StatusOr<std::vector<std::string>> ReadStrings(const Schema& schema, const char* keyword);
absl::StatusOr<std::vector<Schema>> ReadSchemas(const Schema& schema, const char* keyword);

// The types that a schema without combinations allows: those of `type`; else those that its other
// keywords speak about; else all.
absl::StatusOr<std::vector<std::string>> ReadTypes(const Schema& schema);

}  // namespace regatta::grammar
