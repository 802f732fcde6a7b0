// Files that are there whole or not at all: small ones that other processes wait for, such as a
// server's address, and large ones that a full disk would cut.
#pragma once

#include <functional>
#include <ostream>
#include <string>

#include "absl/status/status.h"

namespace regatta {

// Writes beside `path` and renames into place, so that nobody reads half a file; what cannot be
// written whole is removed. Pipes and devices are written as they are. UNAVAILABLE names the path
// and the cause.
absl::Status WriteFileAtomically(const std::string& path, const std::string& text);
absl::Status WriteFileAtomically(const std::string& path,
                                 const std::function<void(std::ostream&)>& write);

// The error that WriteFileAtomically would end with now, but for a full disk, or OK; leaves
// nothing.
absl::Status CheckCanWriteFile(const std::string& path);

}  // namespace regatta
