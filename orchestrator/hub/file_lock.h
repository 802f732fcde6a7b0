// A lock between processes on a file, as Python's filelock takes it: flock(2).
#pragma once

#include <functional>
#include <string>

#include "absl/status/statusor.h"

namespace regatta {

class FileLock {
 public:
  // Waits while `wait` (called every 100 ms) returns OK; its error is returned otherwise. Makes the
  // file; UNAVAILABLE when that fails.
  static absl::StatusOr<FileLock> Take(const std::string& path,
                                       const std::function<absl::Status()>& wait);
  ~FileLock();
  FileLock(FileLock&& other) noexcept : fd_(other.fd_) { other.fd_ = -1; }
  FileLock& operator=(FileLock&&) = delete;

 private:
  explicit FileLock(int fd) : fd_(fd) {}
  int fd_;
};

}  // namespace regatta
