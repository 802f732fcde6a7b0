// The runs that the service knows, in SQLite: what was asked, where it stands, summary figures. The
// measurements themselves are in the runs' directories.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "orchestrator/service/sqlite.h"
#include "proto/orchestrator.pb.h"

namespace regatta {

// True of states that nothing follows.
bool HasEnded(RunState state);

// Not thread-safe. Every change is on the disk when its call returns.
class RunStore {
 public:
  // Makes the file, or brings an older schema up to date. FAILED_PRECONDITION for a newer one.
  static absl::StatusOr<RunStore> Open(const std::string& path);

  // The id that the next new run gets: 1, 2, ...
  absl::StatusOr<std::string> NextId();
  // Adds the run, or replaces what is known of the one with its id.
  absl::Status Put(const RunSummary& run);
  // NOT_FOUND names the id.
  absl::StatusOr<RunSummary> Get(const std::string& id);
  // The newest `limit` ones, newest first.
  absl::StatusOr<std::vector<RunSummary>> Newest(uint32_t limit);
  // Those that have not ended, oldest first.
  absl::StatusOr<std::vector<RunSummary>> Unended();

 private:
  explicit RunStore(Database database) : database_(std::move(database)) {}
  Database database_;
};

}  // namespace regatta
