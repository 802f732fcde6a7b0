// See atomic_file.h.
#include "common/atomic_file.h"

#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <system_error>

#include "absl/strings/str_cat.h"

namespace regatta {
namespace {

namespace fs = std::filesystem;

constexpr char kTemporary[] = ".part";

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

// Pipes and devices.
bool IsWrittenInPlace(const std::string& path) {
  std::error_code error;
  return fs::exists(path, error) && !fs::is_regular_file(path, error);
}

// What a link leads to is replaced, not the link.
std::string TargetOf(const std::string& path) {
  std::error_code error;
  const fs::path there = fs::weakly_canonical(path, error);
  return error || there.empty() ? path : there.string();
}

}  // namespace

absl::Status CheckCanWriteFile(const std::string& path) {
  // Opening a pipe would tell its reader that all has come.
  if (IsWrittenInPlace(path)) {
    return ::access(path.c_str(), W_OK) == 0 ? absl::OkStatus() : CannotWriteFile(path, errno);
  }
  const std::string temporary = TargetOf(path) + kTemporary;
  const int failed = WriteWhole(temporary, [](std::ostream&) {});
  if (failed != 0) return CannotWriteFile(path, failed);
  std::error_code error;
  fs::remove(temporary, error);
  return absl::OkStatus();
}

absl::Status WriteFileAtomically(const std::string& path,
                                 const std::function<void(std::ostream&)>& write) {
  if (IsWrittenInPlace(path)) {
    const int failed = WriteWhole(path, write);
    return failed == 0 ? absl::OkStatus() : CannotWriteFile(path, failed);
  }
  std::error_code error;
  const std::string target = TargetOf(path);
  const std::string temporary = target + kTemporary;
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
