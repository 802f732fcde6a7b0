// The receiving end of Fetch: files that another host sends, kept inside of one directory.
#pragma once

#include <fstream>
#include <string>

#include "absl/status/status.h"
#include "proto/orchestrator.pb.h"

namespace regatta {

class FetchedFiles {
 public:
  // Writes under `dir`, which is made with the first file.
  explicit FetchedFiles(std::string dir) : dir_(std::move(dir)) {}

  // DATA_LOSS for a path that leads out of the directory, or a file that begins before the one
  // before it has ended; UNAVAILABLE names a path that cannot be written.
  absl::Status Add(const FileChunk& chunk);
  // DATA_LOSS when the last file has not ended.
  absl::Status Finish() const;
  int count() const { return count_; }

 private:
  absl::Status Begin(const std::string& path);

  const std::string dir_;
  std::string path_;  // of the file being written; empty between files
  std::ofstream file_;
  int count_ = 0;
};

}  // namespace regatta
