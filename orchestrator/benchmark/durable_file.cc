// write, fsync, rename; see durable_file.h.
#include "orchestrator/benchmark/durable_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"

namespace regatta {
namespace {

// Of the error that errno tells.
absl::Status CannotWrite(const std::string& path) {
  return absl::UnavailableError(absl::StrCat("cannot write '", path, "': ", std::strerror(errno)));
}

// Closed when it goes out of scope.
class File {
 public:
  File(const std::string& path, int flags)
      : path_(path), fd_(::open(path.c_str(), flags | O_CLOEXEC, 0644)) {}
  ~File() {
    if (fd_ >= 0) ::close(fd_);
  }
  File(const File&) = delete;
  File& operator=(const File&) = delete;

  int fd() const { return fd_; }
  absl::Status Write(absl::string_view text) const {
    while (!text.empty()) {
      const ssize_t count = ::write(fd_, text.data(), text.size());
      if (count < 0 && errno == EINTR) continue;
      if (count <= 0) return CannotWrite(path_);
      text.remove_prefix(count);
    }
    return absl::OkStatus();
  }
  absl::Status Sync() const { return ::fsync(fd_) == 0 ? absl::OkStatus() : CannotWrite(path_); }

 private:
  const std::string path_;
  const int fd_;
};

// Without that a crash of the host may lose the name of a file that was synced itself.
absl::Status SyncFolderOf(const std::string& path) {
  const std::string parent = std::filesystem::path(path).parent_path().string();
  const File folder(parent.empty() ? "." : parent, O_RDONLY | O_DIRECTORY);
  return folder.fd() < 0 ? CannotWrite(parent) : folder.Sync();
}

}  // namespace

absl::StatusOr<uint64_t> AppendDurably(const std::string& path, absl::string_view text) {
  const File file(path, O_WRONLY | O_CREAT | O_APPEND);
  if (file.fd() < 0) return CannotWrite(path);
  RETURN_IF_ERROR(file.Write(text));
  RETURN_IF_ERROR(file.Sync());
  struct stat now = {};
  if (::fstat(file.fd(), &now) != 0) return CannotWrite(path);
  return static_cast<uint64_t>(now.st_size);
}

absl::Status ReplaceDurably(const std::string& path, absl::string_view text) {
  const std::string part = path + ".part";
  {
    const File file(part, O_WRONLY | O_CREAT | O_TRUNC);
    if (file.fd() < 0) return CannotWrite(part);
    RETURN_IF_ERROR(file.Write(text));
    RETURN_IF_ERROR(file.Sync());
  }
  if (::rename(part.c_str(), path.c_str()) != 0) return CannotWrite(path);
  return SyncFolderOf(path);
}

absl::Status TruncateDurably(const std::string& path, uint64_t bytes) {
  const File file(path, O_WRONLY | O_CREAT);
  if (file.fd() < 0) return CannotWrite(path);
  struct stat now = {};
  if (::fstat(file.fd(), &now) != 0) return CannotWrite(path);
  const uint64_t size = static_cast<uint64_t>(now.st_size);
  if (size < bytes) {
    return absl::DataLossError(
        absl::StrCat("'", path, "' has ", size, " bytes, ", bytes, " were written"));
  }
  if (::ftruncate(file.fd(), static_cast<off_t>(bytes)) != 0) return CannotWrite(path);
  RETURN_IF_ERROR(file.Sync());
  return SyncFolderOf(path);
}

}  // namespace regatta
