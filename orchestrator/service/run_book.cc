// Store, queue and watchers of runs; see run_book.h.
#include "orchestrator/service/run_book.h"

#include <algorithm>
#include <filesystem>

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "orchestrator/benchmark/environment.h"
#include "orchestrator/benchmark/server_address.h"
#include "orchestrator/service/run_paths.h"
#include "orchestrator/service/run_request.h"

namespace regatta {

absl::StatusOr<std::unique_ptr<RunBook>> RunBook::Open(const RunBookOptions& options) {
  ASSIGN_OR_RETURN(RunStore store, RunStore::Open(options.state_dir + "/runs.sqlite"));
  ASSIGN_OR_RETURN(const std::vector<RunSummary> unended, store.Unended());
  for (RunSummary run : unended) {
    if (run.state() != RUN_CANCELLING) continue;
    run.set_state(RUN_CANCELLED);  // its processes died with the service
    run.set_ended_utc(UtcTimestamp());
    RETURN_IF_ERROR(store.Put(run));
  }
  return std::unique_ptr<RunBook>(new RunBook(options, std::move(store)));
}

absl::Status RunBook::CheckRoom() {
  if (closed_) return absl::UnavailableError("the service is ending");
  ASSIGN_OR_RETURN(const std::vector<RunSummary> unended, store_.Unended());
  const auto queued = std::count_if(unended.begin(), unended.end(), [](const RunSummary& run) {
    return run.state() == RUN_QUEUED;
  });
  if (queued < options_.max_queued) return absl::OkStatus();
  return absl::ResourceExhaustedError(
      absl::StrCat(queued, " runs are queued already, --max-queued is ", options_.max_queued,
                   ": try again when one has started, or cancel one"));
}

absl::StatusOr<RunSummary> RunBook::Add(const StartRunRequest& request) {
  ASSIGN_OR_RETURN(const std::string target, CheckRequest(request, options_.allow_changes));
  const std::string server = ServerAddress(target);
  absl::MutexLock lock(&mutex_);
  RETURN_IF_ERROR(CheckRoom());
  RunSummary run;
  ASSIGN_OR_RETURN(*run.mutable_id(), store_.NextId());
  const RunPaths paths(options_.state_dir, run.id());
  std::error_code ignored;
  std::filesystem::remove_all(paths.root(), ignored);  // of a Start that a crash cut short
  RETURN_IF_ERROR(StoreFiles(request, paths.input()));
  const std::vector<std::string> flags(request.flags().begin(), request.flags().end());
  RETURN_IF_ERROR(FlagsWithPaths(flags, paths.input(), options_.data_dir).status());
  run.set_state(RUN_QUEUED);
  run.set_label(request.label());
  run.set_command(CommandOf(request));
  run.set_target(target);
  run.set_server(server);
  *run.mutable_flags() = request.flags();
  run.set_created_utc(UtcTimestamp());
  RETURN_IF_ERROR(Changed(run));
  return run;
}

absl::StatusOr<RunSummary> RunBook::Cancel(const std::string& id) {
  absl::MutexLock lock(&mutex_);
  ASSIGN_OR_RETURN(RunSummary run, store_.Get(id));
  if (HasEnded(run.state())) {
    return absl::FailedPreconditionError(absl::StrCat("run ", run.id(), " has ended already"));
  }
  if (run.state() == RUN_CANCELLING) return run;
  const bool queued = run.state() == RUN_QUEUED;
  run.set_state(queued ? RUN_CANCELLED : RUN_CANCELLING);
  if (queued) run.set_ended_utc(UtcTimestamp());
  RETURN_IF_ERROR(Changed(run));
  return run;
}

absl::StatusOr<RunSummary> RunBook::Get(const std::string& id) {
  absl::MutexLock lock(&mutex_);
  return store_.Get(id);
}

absl::StatusOr<std::vector<RunSummary>> RunBook::Newest(uint32_t limit) {
  absl::MutexLock lock(&mutex_);
  return store_.Newest(limit);
}

absl::StatusOr<RunView> RunBook::Await(const std::string& id, uint64_t seen,
                                       absl::Duration timeout) {
  const absl::Time deadline = absl::Now() + timeout;
  absl::MutexLock lock(&mutex_);
  ASSIGN_OR_RETURN(RunSummary run, store_.Get(id));
  const std::string key = run.id();  // "007" is 7
  while (!closed_ && fresh_[key].version == seen) {
    if (changed_.WaitWithDeadline(&mutex_, deadline)) break;
  }
  ASSIGN_OR_RETURN(run, store_.Get(key));
  const Fresh& fresh = fresh_[key];
  return RunView{std::move(run), fresh.line, fresh.version};
}

void RunBook::Close() {
  absl::MutexLock lock(&mutex_);
  closed_ = true;
  changed_.SignalAll();
}

bool RunBook::closed() const {
  absl::MutexLock lock(&mutex_);
  return closed_;
}

std::vector<RunSummary> RunBook::Startable(const std::set<std::string>& active) {
  absl::MutexLock lock(&mutex_);
  const absl::StatusOr<std::vector<RunSummary>> unended = store_.Unended();
  if (!unended.ok()) return {};  // asked again soon
  std::map<std::string, const RunSummary*> first;
  for (const RunSummary& run : *unended) {
    if (active.count(run.id()) > 0) {
      first[run.server()] = nullptr;  // taken
      continue;
    }
    const auto [place, free] = first.emplace(run.server(), &run);
    const bool was_running = run.state() != RUN_QUEUED;
    if (!free && was_running && place->second != nullptr && place->second->state() == RUN_QUEUED) {
      place->second = &run;
    }
  }
  std::vector<RunSummary> startable;
  for (const auto& [server, run] : first) {
    if (run != nullptr) startable.push_back(*run);
  }
  return startable;
}

absl::Status RunBook::Note(const RunSummary& run) {
  absl::MutexLock lock(&mutex_);
  ASSIGN_OR_RETURN(const RunSummary known, store_.Get(run.id()));
  if (HasEnded(known.state())) {
    return absl::FailedPreconditionError(absl::StrCat("run ", run.id(), " has ended"));
  }
  RunSummary next = run;
  if (known.state() == RUN_CANCELLING) {
    next.set_state(HasEnded(run.state()) ? RUN_CANCELLED : RUN_CANCELLING);
  }
  return Changed(next);
}

void RunBook::NoteLine(const std::string& id, const std::string& line) {
  absl::MutexLock lock(&mutex_);
  Fresh& fresh = fresh_[id];
  if (fresh.line == line) return;
  fresh.line = line;
  ++fresh.version;
  changed_.SignalAll();
}

absl::Status RunBook::Changed(const RunSummary& run) {
  RETURN_IF_ERROR(store_.Put(run));
  ++fresh_[run.id()].version;
  changed_.SignalAll();
  return absl::OkStatus();
}

}  // namespace regatta
