// Abseil may be built with a string_view of its own (Debian's is): std's made acceptable to it.
#pragma once

#include <string_view>

#include "absl/strings/string_view.h"

namespace regatta {

inline absl::string_view View(std::string_view text) { return {text.data(), text.size()}; }
inline std::string_view StdView(absl::string_view text) { return {text.data(), text.size()}; }

}  // namespace regatta
