// Python's methods of str as builtins, shared with the filters that do the same.
#pragma once

#include <string>
#include <string_view>

#include "common/jinja/callable.h"
#include "common/jinja/unicode.h"

namespace regatta::jinja {

// Null when str has no such method here.
Builtin FindStringMethod(std::string_view name);

// str.replace; a negative count replaces all.
absl::StatusOr<Value> ReplaceText(std::string_view text, std::string_view old,
                                  std::string_view replacement, int64_t count, Runtime& runtime);
// str.center and its like: `text` in `width` code points.
enum class Align { kLeft, kRight, kCenter };
absl::StatusOr<Value> PadText(std::string_view text, int64_t width, Align align,
                              std::string_view fill, Runtime& runtime);
// str.strip
absl::StatusOr<Value> StripText(Runtime& runtime, std::string_view text, Ends ends,
                                const Arguments& arguments);

}  // namespace regatta::jinja
