// JSON from outside as a document, or where and why it is none, in words for whoever wrote the
// file.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace regatta {

// Parses `text` whole. INVALID_ARGUMENT: "not valid JSON at line 3, column 14: " with what was read
// and what was expected there; the caller puts the file's name before it.
absl::StatusOr<nlohmann::json> ParseJson(absl::string_view text);

// The same of one line of JSON Lines, which must be an object; the error gives the column alone.
absl::StatusOr<nlohmann::json> ParseJsonLine(absl::string_view line);

// The string under `key`; "" where there is none, or `object` is no object.
std::string StringAt(const nlohmann::json& object, const char* key);

}  // namespace regatta
