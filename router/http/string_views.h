// Abseil built before C++17 (Debian 12's) has a string_view of its own; interfaces here use the
// standard's.
#pragma once

#include <string_view>

#include "absl/strings/string_view.h"

namespace regatta {

inline absl::string_view AsAbsl(std::string_view text) { return {text.data(), text.size()}; }

}  // namespace regatta
