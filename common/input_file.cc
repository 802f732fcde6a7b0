// See input_file.h.
#include "common/input_file.h"

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <system_error>

#include "absl/strings/str_cat.h"

namespace regatta {

absl::StatusOr<std::ifstream> OpenInputFile(const std::string& path) {
  std::error_code error;
  const bool directory = std::filesystem::is_directory(path, error);
  errno = 0;
  std::ifstream file(path, std::ios::binary);
  if (file && !directory) return file;
  return absl::NotFoundError(absl::StrCat(
      "cannot read '", path, "': ", directory ? "it is a directory" : std::strerror(errno)));
}

bool HasFile(const std::string& dir, const std::string& name) {
  std::error_code error;
  return !dir.empty() && std::filesystem::exists(std::filesystem::path(dir) / name, error);
}

}  // namespace regatta
