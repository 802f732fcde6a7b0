// Small files that other processes wait for, such as a server's address.
#pragma once

#include <string>

#include "absl/status/status.h"

namespace regatta {

// Writes beside `path` and renames into place, so that nobody reads half a file. UNAVAILABLE names
// the path.
absl::Status WriteFileAtomically(const std::string& path, const std::string& text);

}  // namespace regatta
