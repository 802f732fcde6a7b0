// See run_paths.h.
#include "orchestrator/service/run_paths.h"

#include <algorithm>
#include <filesystem>

#include "absl/strings/str_cat.h"

namespace regatta {

namespace fs = std::filesystem;

std::optional<std::string> RunPaths::Results() const {
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(output(), error)) {
    if (fs::exists(entry.path() / "results.json", error)) return entry.path().string();
  }
  return std::nullopt;
}

absl::StatusOr<std::vector<std::string>> FilesUnder(const std::string& dir) {
  std::error_code error;
  std::vector<std::string> files;
  for (fs::recursive_directory_iterator next(dir, error), end; !error && next != end;
       next.increment(error)) {
    const bool regular = next->is_regular_file(error) && !next->is_symlink(error);
    if (!regular || next->path().extension() == ".part") continue;
    files.push_back(next->path().lexically_relative(dir).string());
  }
  if (error) return absl::NotFoundError(absl::StrCat("'", dir, "': ", error.message()));
  std::sort(files.begin(), files.end());
  return files;
}

}  // namespace regatta
