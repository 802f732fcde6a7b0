// Files that people name, opened for reading.
#pragma once

#include <fstream>
#include <string>

#include "absl/status/statusor.h"

namespace regatta {

// `path` open for reading its bytes. NOT_FOUND: "cannot read 'path': " and why, a directory
// included.
absl::StatusOr<std::ifstream> OpenInputFile(const std::string& path);

// Whether `dir`, where one is named, has a file or folder called `name`.
bool HasFile(const std::string& dir, const std::string& name);

}  // namespace regatta
