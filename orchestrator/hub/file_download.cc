// Resuming, checking, renaming; see file_download.h.
#include "orchestrator/hub/file_download.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <optional>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/status_macros.h"
#include "orchestrator/hub/checksum.h"
#include "orchestrator/hub/file_lock.h"

namespace regatta {
namespace {

namespace fs = std::filesystem;

std::string IncompletePath(const HubCache& cache, const RemoteFile& file) {
  return cache.BlobPath(file.etag) + ".incomplete";
}

// Size of a file; 0 when there is none.
uint64_t SizeOf(const std::string& path) {
  std::error_code error;
  const uint64_t size = fs::file_size(path, error);
  return error ? 0 : size;
}

absl::Status SystemError(absl::string_view what, const std::string& path) {
  const bool full = errno == ENOSPC || errno == EDQUOT;
  const std::string message = absl::StrCat(what, " '", path, "': ", std::strerror(errno));
  if (!full) return absl::InternalError(message);
  return absl::ResourceExhaustedError(
      absl::StrCat(message, "; make room, or choose another disk by HF_HOME. What came is kept"));
}

// The file that grows, and the digest of what it holds.
class IncompleteFile {
 public:
  IncompleteFile(std::string path, const RemoteFile& file, std::atomic<uint64_t>& done)
      : path_(std::move(path)), file_(file), done_(done) {}
  ~IncompleteFile() {
    if (fd_ >= 0) ::close(fd_);
  }

  // Opens it and reads what is there already; CANCELLED once `stop` is set.
  absl::Status Open(const std::atomic<bool>& stop) {
    fd_ = ::open(path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (fd_ < 0) return SystemError("cannot open", path_);
    checksum_.emplace(file_.etag, file_.size);
    std::string piece(1 << 20, '\0');
    ssize_t count = 0;
    while ((count = ::read(fd_, piece.data(), piece.size())) > 0) {
      if (stop.load()) return absl::CancelledError("interrupted");
      checksum_->Add({piece.data(), static_cast<size_t>(count)});
      size_ += count;
    }
    done_ = size_;
    if (count < 0) return SystemError("cannot read", path_);
    return size_ > file_.size ? Clear() : absl::OkStatus();
  }

  // Bytes from `begin` on follow: where it ends, or 0.
  absl::Status StartAt(uint64_t begin) { return begin == size_ ? absl::OkStatus() : Clear(); }

  absl::Status Append(absl::string_view bytes) {
    if (bytes.size() > file_.size - size_) {
      return absl::UnavailableError(
          absl::StrCat(file_.name, ": more than its ", file_.size, " bytes came"));
    }
    checksum_->Add(bytes);
    size_ += bytes.size();
    while (!bytes.empty()) {
      const ssize_t written = ::write(fd_, bytes.data(), bytes.size());
      if (written < 0 && errno == EINTR) continue;
      if (written < 0) return SystemError("cannot write", path_);
      bytes.remove_prefix(written);
    }
    done_ = size_;
    return absl::OkStatus();
  }

  absl::Status Clear() {
    size_ = 0;
    done_ = 0;
    checksum_.emplace(file_.etag, file_.size);
    if (::ftruncate(fd_, 0) == 0 && ::lseek(fd_, 0, SEEK_SET) == 0) return absl::OkStatus();
    return SystemError("cannot empty", path_);
  }

  uint64_t size() const { return size_; }
  bool complete() const { return size_ == file_.size; }
  bool Matches() { return checksum_->Matches(); }
  bool Sync() { return ::fsync(fd_) == 0; }

 private:
  const std::string path_;
  const RemoteFile& file_;
  std::atomic<uint64_t>& done_;
  std::optional<Checksum> checksum_;
  uint64_t size_ = 0;
  int fd_ = -1;
};

// Of what network: which file, and how much of it is there.
absl::Status WithProgress(absl::Status status, const RemoteFile& file, uint64_t size) {
  return Reworded(status, absl::StrCat(file.name, " (", size, " of ", file.size,
                                       " bytes are here): ", status.message()));
}

// One attempt, from where `incomplete` ends.
absl::Status FetchRest(const HubClient& client, const std::string& commit, const RemoteFile& file,
                       IncompleteFile& incomplete) {
  if (!incomplete.complete() || file.size == 0) {
    const absl::Status status = client.Fetch(
        commit, file, incomplete.size(), [&](uint64_t begin) { return incomplete.StartAt(begin); },
        [&](absl::string_view bytes) { return incomplete.Append(bytes); });
    if (IsWorthARetry(status)) return WithProgress(status, file, incomplete.size());
    RETURN_IF_ERROR(status);
  }
  if (!incomplete.complete()) {
    return absl::UnavailableError(
        absl::StrCat(file.name, ": ", incomplete.size(), " of ", file.size, " bytes came"));
  }
  if (incomplete.Matches()) return absl::OkStatus();
  RETURN_IF_ERROR(incomplete.Clear());
  return absl::DataLossError(
      absl::StrCat(file.name, ": its bytes do not have the digest ", file.etag,
                   "; they are thrown away. A proxy or a disk may have changed them"));
}

// While another process holds the lock: how far it is, and for how long nothing has come.
class OtherDownload {
 public:
  OtherDownload(const HubCache& cache, const RemoteFile& file, absl::Duration timeout,
                const std::atomic<bool>& stop, std::atomic<uint64_t>& done)
      : cache_(cache), file_(file), timeout_(timeout), stop_(stop), done_(done) {}

  absl::Status Wait() {
    if (stop_.load()) return absl::CancelledError("interrupted");
    const uint64_t size = BytesPresent(cache_, file_);
    if (size != done_) changed_ = absl::Now();
    done_ = size;
    if (absl::Now() - changed_ < timeout_) return absl::OkStatus();
    return absl::FailedPreconditionError(
        absl::StrCat(file_.name, ": another process holds '", cache_.LockPath(file_.etag),
                     "' and has written nothing for ", absl::FormatDuration(timeout_)));
  }

 private:
  const HubCache& cache_;
  const RemoteFile& file_;
  const absl::Duration timeout_;
  const std::atomic<bool>& stop_;
  std::atomic<uint64_t>& done_;
  absl::Time changed_ = absl::Now();
};

}  // namespace

uint64_t BytesPresent(const HubCache& cache, const RemoteFile& file) {
  std::error_code error;
  if (fs::exists(cache.BlobPath(file.etag), error)) return file.size;
  return std::min(SizeOf(IncompletePath(cache, file)), file.size);
}

absl::Status DownloadFile(const HubClient& client, const HubCache& cache, const std::string& commit,
                          const RemoteFile& file, const DownloadOptions& options,
                          const std::atomic<bool>& stop, std::atomic<uint64_t>& done) {
  OtherDownload other(cache, file, options.lock_timeout, stop, done);
  ASSIGN_OR_RETURN(const FileLock lock,
                   FileLock::Take(cache.LockPath(file.etag), [&] { return other.Wait(); }));
  const std::string blob = cache.BlobPath(file.etag);
  std::error_code error;
  if (fs::exists(blob, error)) {
    done = file.size;
    return absl::OkStatus();
  }
  const std::string path = IncompletePath(cache, file);
  IncompleteFile incomplete(path, file, done);
  RETURN_IF_ERROR(incomplete.Open(stop));
  uint64_t before = incomplete.size();
  const auto fetch = [&] {
    return WithRetries(
        options.retry, stop, [&] { return FetchRest(client, commit, file, incomplete); },
        [&] { return incomplete.size() > std::exchange(before, incomplete.size()); });
  };
  const bool resumed = incomplete.size() > 0;
  absl::Status status = fetch();
  // What an earlier pull has left may be what was wrong.
  if (resumed && absl::IsDataLoss(status)) status = fetch();
  if (IsWorthARetry(status)) {
    return Reworded(status, absl::StrCat(status.message(), "; run it again: what came is kept"));
  }
  RETURN_IF_ERROR(status);
  if (!incomplete.Sync()) return SystemError("cannot write", path);
  fs::rename(path, blob, error);
  if (!error) return absl::OkStatus();
  return absl::InternalError(absl::StrCat("cannot rename '", path, "': ", error.message()));
}

}  // namespace regatta
