// Finished runs as they lie on disk: read for exports and comparisons, written by imports.
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "orchestrator/formats/formats.h"

namespace regatta {

// results.json and, where it exists, requests.jsonl of a run's directory (or results.json itself).
// NOT_FOUND or INVALID_ARGUMENT name the file, and the line of a bad record.
absl::StatusOr<StoredRun> LoadStoredRun(const std::string& path);

// The requests that a run's directory keeps; none where it has no requests.jsonl.
absl::StatusOr<std::vector<RequestRecord>> LoadRequests(const std::string& dir);

// A new directory under `root` with the files of a run and its report; its path.
absl::StatusOr<std::string> SaveStoredRun(const StoredRun& run, const std::string& root);

// Whole files; of a folder those in and below it that are named as `format` ("auto": any) has them.
// NOT_FOUND names the path that cannot be read or has none, INVALID_ARGUMENT a file that is too
// large.
absl::StatusOr<std::vector<TextFile>> ReadTextFiles(absl::Span<const std::string> paths,
                                                    const std::string& format);

// Exports `run` in each of `formats` into `dir`, made when it does not exist; the paths written.
absl::StatusOr<std::vector<std::string>> ExportTo(const StoredRun& run,
                                                  absl::Span<const std::string> formats,
                                                  const std::string& dir);

}  // namespace regatta
