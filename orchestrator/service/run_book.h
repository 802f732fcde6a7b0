// All runs of the service with what is known of them now, for those who run, ask and watch.
// Thread-safe; what it answers is on the disk.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "orchestrator/service/run_store.h"
#include "proto/orchestrator.pb.h"

namespace regatta {

struct RunBookOptions {
  std::string state_dir;  // must exist
  std::string data_dir;   // of data sets that clients name without sending them; may be empty
  uint32_t max_queued = 64;
  bool allow_changes = false;  // of running routers, by runs
};

// A run as its watchers see it. `version` grows with every change of it.
struct RunView {
  RunSummary run;
  std::string line;
  uint64_t version = 0;
};

class RunBook {
 public:
  // Reads the runs of an earlier life; those it was about to cancel are cancelled now.
  static absl::StatusOr<std::unique_ptr<RunBook>> Open(const RunBookOptions& options);

  // Checks, stores the files and queues. Errors of CheckRequest; RESOURCE_EXHAUSTED names the limit
  // of the queue; UNAVAILABLE when it cannot be written, or while the service ends.
  absl::StatusOr<RunSummary> Add(const StartRunRequest& request);
  // A queued run is CANCELLED at once, a running one becomes CANCELLING. FAILED_PRECONDITION when
  // it has ended.
  absl::StatusOr<RunSummary> Cancel(const std::string& id);
  absl::StatusOr<RunSummary> Get(const std::string& id);
  absl::StatusOr<std::vector<RunSummary>> Newest(uint32_t limit);

  // The run as soon as its version differs from `seen` (0: at once), or as it is after `timeout`.
  absl::StatusOr<RunView> Await(const std::string& id, uint64_t seen, absl::Duration timeout);
  // From now on nothing waits and nothing is added.
  void Close();
  bool closed() const;

  // For the one that runs them: what may start now. Of each server without a run in `active` the
  // one that was running before, else the oldest queued one.
  std::vector<RunSummary> Startable(const std::set<std::string>& active);
  // Replaces what is known of a run, its state included, unless it is being cancelled: then only
  // an end replaces that, and is CANCELLED. FAILED_PRECONDITION when it has ended.
  absl::Status Note(const RunSummary& run);
  // What a terminal would show of it; not stored.
  void NoteLine(const std::string& id, const std::string& line);

  const RunBookOptions& options() const { return options_; }

 private:
  struct Fresh {  // what the store does not know
    std::string line;
    uint64_t version = 1;
  };

  RunBook(const RunBookOptions& options, RunStore store)
      : options_(options), store_(std::move(store)) {}
  absl::Status Changed(const RunSummary& run) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status CheckRoom() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const RunBookOptions options_;
  mutable absl::Mutex mutex_;
  absl::CondVar changed_;
  RunStore store_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, Fresh> fresh_ ABSL_GUARDED_BY(mutex_);
  bool closed_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace regatta
