// Values as text: Python's str() and repr(), and json.dumps.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "common/jinja/runtime.h"
#include "common/jinja/value.h"

namespace regatta::jinja {

std::string IntegerText(Integer value);
// repr(float): the shortest digits that read back the same, "1.0", "1e+16", "inf".
std::string FloatText(double value);

// Appends str(value). Errors: too deep, or the runtime's limits.
absl::Status AppendStr(const Value& value, Runtime& runtime, std::string& out);
absl::Status AppendRepr(const Value& value, Runtime& runtime, std::string& out);

absl::StatusOr<std::string> Str(const Value& value, Runtime& runtime);

// Options of json.dumps, with the defaults of transformers' tojson filter.
struct JsonStyle {
  bool ensure_ascii = false;
  bool multiline = false;  // indent is not None
  std::string indent;      // of one level
  std::string item_separator = ", ";
  std::string key_separator = ": ";
  bool sort_keys = false;
};

// Appends json.dumps(value). Errors: a value that JSON does not have, or the runtime's limits.
absl::Status AppendJson(const Value& value, const JsonStyle& style, Runtime& runtime,
                        std::string& out);

}  // namespace regatta::jinja
