// A model from the Hub into the cache on this host.
#pragma once

#include <atomic>
#include <cstdio>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "orchestrator/hub/file_download.h"
#include "orchestrator/hub/hub_settings.h"
#include "orchestrator/hub/model_files.h"

namespace regatta {

struct PullOptions {
  HubSettings hub;
  std::string repository;  // "org/name"
  std::string revision = "main";
  ModelParts parts = ModelParts::kAll;
  int connections = 4;
  DownloadOptions download;
  std::FILE* out = stderr;  // progress and what is skipped; null = silent
};

// Directory of the snapshot of `revision` that is in the cache already with all `parts`. NOT_FOUND
// otherwise. Asks nobody.
absl::StatusOr<std::string> CachedSnapshot(const PullOptions& options);

// Directory of the snapshot of what `revision` is on the Hub now, after fetching what the cache
// lacks; of what it was when last pulled, with a note, when the Hub cannot be reached. Errors as
// HubClient's and DownloadFile's; RESOURCE_EXHAUSTED when the disk is too small; NOT_FOUND when
// offline and the cache lacks it. What was fetched before an error, or before `stop` (CANCELLED),
// is kept for the next pull.
absl::StatusOr<std::string> Pull(const PullOptions& options, const std::atomic<bool>& stop);

}  // namespace regatta
