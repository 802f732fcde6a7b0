// See atomic_file.h.
#include "common/atomic_file.h"

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <system_error>

#include "absl/strings/str_cat.h"

namespace regatta {
namespace {

namespace fs = std::filesystem;

// 0 when all of it was written, else the errno.
int WriteWhole(const std::string& path, const std::function<void(std::ostream&)>& write) {
  errno = 0;
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  if (file) write(file);
  file.close();
  if (file) return 0;
  return errno != 0 ? errno : EIO;
}

absl::Status CannotWriteFile(const std::string& path, int error) {
  return absl::UnavailableError(absl::StrCat("cannot write '", path, "': ", std::strerror(error)));
}

}  // namespace

absl::Status WriteFileAtomically(const std::string& path,
                                 const std::function<void(std::ostream&)>& write) {
  std::error_code error;
  if (fs::exists(path, error) && !fs::is_regular_file(path, error)) {
    const int failed = WriteWhole(path, write);
    return failed == 0 ? absl::OkStatus() : CannotWriteFile(path, failed);
  }
  // What a link leads to is replaced, not the link.
  const fs::path there = fs::weakly_canonical(path, error);
  const std::string target = error || there.empty() ? path : there.string();
  const std::string temporary = target + ".part";
  const int failed = WriteWhole(temporary, write);
  if (failed == 0) fs::rename(temporary, target, error);
  if (failed == 0 && !error) return absl::OkStatus();
  const int cause = failed != 0 ? failed : error.value();
  fs::remove(temporary, error);
  return CannotWriteFile(path, cause);
}

absl::Status WriteFileAtomically(const std::string& path, const std::string& text) {
  return WriteFileAtomically(path, [&text](std::ostream& out) { out << text; });
}

}  // namespace regatta
