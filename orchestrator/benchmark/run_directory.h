// The directory one run leaves behind: never an existing one, valid at any time.
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "proto/results.pb.h"

namespace regatta {

class RunDirectory {
 public:
  // Makes ROOT/<UTC>-<model>-<layout>; "-2", "-3", ... is appended while that exists. Errors name
  // the path.
  static absl::StatusOr<RunDirectory> Create(const std::string& root, const std::string& model,
                                             const std::string& layout);

  const std::string& path() const { return path_; }

  // Appends one line per record to requests.jsonl.
  absl::Status AppendRequests(const std::vector<RequestRecord>& records) const;
  // Appends a line to timeline.jsonl.
  absl::Status AppendTimeline(const PointTimeline& timeline) const;
  // Replaces results.json at once: a reader sees the old or the new one.
  absl::Status WriteResults(const SweepReport& sweep) const;

 private:
  explicit RunDirectory(std::string path) : path_(std::move(path)) {}
  std::string path_;
};

// Writes all of `text`; the error names the path.
absl::Status WriteTextFile(const std::string& path, const std::string& text);

// results.json of a run directory (or that file itself). NOT_FOUND or INVALID_ARGUMENT name it.
absl::StatusOr<SweepReport> LoadResults(const std::string& path);

}  // namespace regatta
