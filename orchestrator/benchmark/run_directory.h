// The directory one run leaves behind: valid at any time, whoever is killed when; written by one
// process at a time.
#pragma once

#include <cstdint>
#include <memory>
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
  // One that exists, to go on with. NOT_FOUND, or FAILED_PRECONDITION while another process
  // measures into it; both name the path.
  // `path` itself, which is made where it is missing. FAILED_PRECONDITION where it holds a run.
  static absl::StatusOr<RunDirectory> CreateAt(const std::string& path);
  static absl::StatusOr<RunDirectory> Open(const std::string& path);

  const std::string& path() const { return path_; }

  // Appends one line per record to requests.jsonl; its size in bytes from then on.
  absl::StatusOr<uint64_t> AppendRequests(const std::vector<RequestRecord>& records) const;
  // Drops what requests.jsonl has beyond its first `bytes`. DATA_LOSS when it has fewer.
  absl::Status KeepRequests(uint64_t bytes) const;
  // The same of timeline.jsonl, a line a point.
  absl::StatusOr<uint64_t> AppendTimeline(const PointTimeline& timeline) const;
  absl::Status KeepTimelines(uint64_t bytes) const;
  // Replaces results.json at once: a reader sees the old or the new one.
  absl::Status WriteResults(const SweepReport& sweep) const;
  // Sets results aside that are whole, before WriteResults adds a point that is not.
  absl::Status KeepWhole(const SweepReport& sweep) const;
  // Those, or where nothing was set aside results.json.
  absl::StatusOr<SweepReport> LoadWhole() const;
  // After WriteResults of what LoadWhole gave.
  void DropWhole() const;

 private:
  RunDirectory(std::string path, std::shared_ptr<void> lock)
      : path_(std::move(path)), lock_(std::move(lock)) {}
  std::string path_;
  std::shared_ptr<void> lock_;  // on the directory, against other processes
};

// INVALID_ARGUMENT names `flag` when no file can be written at `path`, empty or not: it is a
// directory, or its own is not there. For what is written after hours.
absl::Status CheckTextFilePath(const std::string& flag, const std::string& path);

// results.json of a run directory (or that file itself). NOT_FOUND or INVALID_ARGUMENT name it.
absl::StatusOr<SweepReport> LoadResults(const std::string& path);

}  // namespace regatta
