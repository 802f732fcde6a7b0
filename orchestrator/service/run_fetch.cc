// See run_fetch.h.
#include "orchestrator/service/run_fetch.h"

#include <algorithm>
#include <filesystem>

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"

namespace regatta {

namespace fs = std::filesystem;

absl::Status FetchedFiles::Begin(const std::string& path) {
  const fs::path relative(path);
  const bool leaves = std::any_of(relative.begin(), relative.end(),
                                  [](const fs::path& part) { return part == ".." || part == "."; });
  if (relative.empty() || relative.is_absolute() || !relative.has_filename() || leaves ||
      path.find('\0') != std::string::npos) {
    return absl::DataLossError(
        absl::StrCat("the service sent a file named '", path.substr(0, 200), "'"));
  }
  const fs::path full = fs::path(dir_) / relative;
  std::error_code error;
  fs::create_directories(full.parent_path(), error);
  file_ = std::ofstream(full, std::ios::binary | std::ios::trunc);
  path_ = path;
  return absl::OkStatus();
}

absl::Status FetchedFiles::Add(const FileChunk& chunk) {
  if (path_.empty()) {
    RETURN_IF_ERROR(Begin(chunk.path()));
  } else if (path_ != chunk.path()) {
    return absl::DataLossError(absl::StrCat("'", path_, "' has no end"));
  }
  file_ << chunk.data();
  if (chunk.last()) file_.close();
  if (!file_) return absl::UnavailableError(absl::StrCat("cannot write '", dir_, "/", path_, "'"));
  if (!chunk.last()) return absl::OkStatus();
  path_.clear();
  ++count_;
  return absl::OkStatus();
}

absl::Status FetchedFiles::Finish() const {
  if (path_.empty()) return absl::OkStatus();
  return absl::DataLossError(absl::StrCat("'", path_, "' has no end"));
}

}  // namespace regatta
