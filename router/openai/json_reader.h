// Request bodies as JSON documents, read more strictly than most servers do, so that no two readers
// of one body can disagree and none of them can be made to work long.
#pragma once

#include <cstddef>
#include <nlohmann/json_fwd.hpp>
#include <string_view>

#include "absl/status/statusor.h"

namespace regatta {

using OrderedJson = nlohmann::ordered_json;  // keeps the order of keys, which templates show

inline constexpr size_t kMaxJsonDepth = 64;    // of arrays and objects
inline constexpr size_t kMaxJsonKeys = 10000;  // of all objects together

// One JSON value (RFC 8259) and white space around it. INVALID_ARGUMENT: ill-formed JSON or UTF-8,
// a byte order mark, a NUL, bytes after the value, a key given twice in one object, a number that
// no double holds, or more than the limits above. Takes time linear in the body.
absl::StatusOr<OrderedJson> ReadJson(std::string_view body);

}  // namespace regatta
