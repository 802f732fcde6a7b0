// List, describe, download, link; see pull.h.
#include "orchestrator/hub/pull.h"

#include <algorithm>
#include <filesystem>
#include <functional>
#include <system_error>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "common/status_macros.h"
#include "orchestrator/hub/hub_cache.h"
#include "orchestrator/hub/hub_client.h"
#include "orchestrator/hub/pull_progress.h"

namespace regatta {
namespace {

constexpr uint64_t kDiskReserve = 64 << 20;  // bytes left free
constexpr size_t kShownNames = 4;

absl::Status CheckNames(const PullOptions& options) {
  if (!IsRepositoryId(options.repository)) {
    return absl::InvalidArgumentError(
        absl::StrCat("'", options.repository, "' is not org/name, as the Hub spells models"));
  }
  if (IsRevision(options.revision)) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("--revision: '", options.revision, "' is no branch, tag or commit"));
}

std::string ShortList(const std::vector<std::string>& names) {
  const size_t shown = std::min(names.size(), kShownNames);
  return absl::StrCat(
      absl::StrJoin(names.begin(), names.begin() + shown, ", "),
      names.size() > shown ? absl::StrCat(" and ", names.size() - shown, " more") : "");
}

void SaySkipped(const FileChoice& choice, StatusLine& out) {
  if (!choice.pickles.empty()) {
    out.Keep("Skipping pickles, which are never read: " + ShortList(choice.pickles));
  }
  if (!choice.others.empty()) {
    out.Keep("Skipping what is of no use here: " + ShortList(choice.others));
  }
}

// Work in `threads` threads until all of it is done or one fails: the first error. `watch` is
// called ten times a second meanwhile, on the calling thread.
absl::Status ForEach(size_t count, int threads, const std::atomic<bool>& stop,
                     const std::function<absl::Status(size_t, const std::atomic<bool>&)>& work,
                     const std::function<void()>& watch) {
  std::atomic<size_t> next = 0, running = 0;
  std::atomic<bool> ended = false;  // told to stop, or failed
  absl::Mutex mutex;
  absl::Status status;
  const auto run = [&] {
    for (size_t i = 0; !ended && (i = next++) < count;) {
      const absl::Status done = work(i, ended);
      if (done.ok()) continue;
      absl::MutexLock lock(&mutex);
      if (status.ok()) status = done;
      ended = true;
    }
    --running;
  };
  std::vector<std::thread> pool;
  running = std::min<size_t>(std::max(threads, 1), count);
  for (size_t i = running; i > 0; --i) pool.emplace_back(run);
  for (int tick = 0; running > 0; ++tick) {
    if (stop.load()) ended = true;
    if (tick % 10 == 0) watch();
    absl::SleepFor(absl::Milliseconds(10));
  }
  for (std::thread& thread : pool) thread.join();
  return stop.load() ? absl::CancelledError("interrupted; what came is kept for the next pull")
                     : status;
}

class Puller {
 public:
  Puller(const PullOptions& options, const std::atomic<bool>& stop)
      : options_(options),
        stop_(stop),
        cache_(options.hub.cache_dir, options.repository),
        line_(options.out) {
    options_.download.retry.on_retry = [this](const absl::Status& why, absl::Duration wait) {
      line_.Keep(absl::StrCat("! ", why.message(), "; again in ", absl::FormatDuration(wait)));
    };
  }

  absl::StatusOr<std::string> Run();

 private:
  absl::StatusOr<RepositoryListing> List();
  absl::StatusOr<std::string> WithoutHub(const absl::Status& why);
  absl::StatusOr<std::vector<RemoteFile>> Describe(const std::string& commit,
                                                   const std::vector<std::string>& names);
  absl::Status CheckDisk(const std::vector<RemoteFile>& files) const;
  absl::Status Download(const std::string& commit, const std::vector<RemoteFile>& files);

  PullOptions options_;
  const std::atomic<bool>& stop_;
  const HubCache cache_;
  StatusLine line_;
};

absl::StatusOr<std::string> Puller::Run() {
  const absl::StatusOr<RepositoryListing> listing = List();
  if (!listing.ok()) return WithoutHub(listing.status());
  ASSIGN_OR_RETURN(const FileChoice choice, ChooseFiles(listing->files, options_.parts));
  if (options_.parts == ModelParts::kAll) SaySkipped(choice, line_);
  ASSIGN_OR_RETURN(const auto files, Describe(listing->commit, choice.needed));
  RETURN_IF_ERROR(cache_.Prepare());
  RETURN_IF_ERROR(CheckDisk(files));
  RETURN_IF_ERROR(Download(listing->commit, files));
  RETURN_IF_ERROR(cache_.SetCommit(options_.revision, listing->commit));
  return cache_.SnapshotPath(listing->commit);
}

// A hub that cannot be reached does not stop who has the model.
absl::StatusOr<std::string> Puller::WithoutHub(const absl::Status& why) {
  if (!absl::IsUnavailable(why) && !absl::IsDeadlineExceeded(why)) return why;
  absl::StatusOr<std::string> cached = CachedSnapshot(options_);
  if (!cached.ok()) {
    return absl::Status(why.code(), absl::StrCat(why.message(), "; ", cached.status().message(),
                                                 " either. HF_ENDPOINT names another hub, "
                                                 "HTTPS_PROXY a way to it"));
  }
  line_.Keep(
      absl::StrCat("! ", why.message(), "; taking what the cache has of ", options_.revision));
  return cached;
}

// Who has the model does not wait for a hub that is away.
absl::StatusOr<RepositoryListing> Puller::List() {
  const HubClient client(options_.hub, options_.repository, stop_);
  RetryPolicy retry = options_.download.retry;
  if (CachedSnapshot(options_).ok()) retry.attempts = 1;
  absl::StatusOr<RepositoryListing> listing;
  RETURN_IF_ERROR(WithRetries(retry, stop_, [&] {
    listing = client.List(options_.revision);
    return listing.status();
  }));
  return listing;
}

absl::StatusOr<std::vector<RemoteFile>> Puller::Describe(const std::string& commit,
                                                         const std::vector<std::string>& names) {
  std::vector<RemoteFile> files(names.size());
  const auto describe = [&](size_t i, const std::atomic<bool>& stop) -> absl::Status {
    const HubClient client(options_.hub, options_.repository, stop);
    return WithRetries(options_.download.retry, stop, [&]() -> absl::Status {
      ASSIGN_OR_RETURN(files[i], client.Describe(commit, names[i]));
      return absl::OkStatus();
    });
  };
  RETURN_IF_ERROR(ForEach(names.size(), options_.connections, stop_, describe, [] {}));
  return files;
}

absl::Status Puller::CheckDisk(const std::vector<RemoteFile>& files) const {
  uint64_t missing = 0;
  for (const RemoteFile& file : files) missing += file.size - BytesPresent(cache_, file);
  std::error_code error;
  const auto space = std::filesystem::space(options_.hub.cache_dir, error);
  if (error || missing == 0 || missing + kDiskReserve <= space.available) return absl::OkStatus();
  return absl::ResourceExhaustedError(absl::StrCat(
      options_.repository, ": ", FormatBytes(missing), " are to come, '", options_.hub.cache_dir,
      "' has ", FormatBytes(space.available), " free; HF_HOME chooses another disk"));
}

absl::Status Puller::Download(const std::string& commit, const std::vector<RemoteFile>& files) {
  std::vector<std::atomic<uint64_t>> done(files.size());
  uint64_t total = 0, present = 0;
  for (size_t i = 0; i < files.size(); ++i) {
    done[i] = BytesPresent(cache_, files[i]);
    present += done[i];
    total += files[i].size;
  }
  if (present < total) {
    line_.Keep(absl::StrCat("Pulling ", options_.repository, ": ", files.size(), " files, ",
                            FormatBytes(total - present)));
  }
  PullProgress progress(line_, total, present);
  const auto download = [&](size_t i, const std::atomic<bool>& stop) -> absl::Status {
    const HubClient client(options_.hub, options_.repository, stop);
    RETURN_IF_ERROR(
        DownloadFile(client, cache_, commit, files[i], options_.download, stop, done[i]));
    return cache_.Link(commit, files[i].name, files[i].etag);
  };
  return ForEach(files.size(), options_.connections, stop_, download, [&] {
    uint64_t bytes = 0;
    for (const auto& part : done) bytes += part;
    progress.Update(bytes);
  });
}

}  // namespace

absl::StatusOr<std::string> CachedSnapshot(const PullOptions& options) {
  RETURN_IF_ERROR(CheckNames(options));
  const HubCache cache(options.hub.cache_dir, options.repository);
  ASSIGN_OR_RETURN(const std::string commit, cache.CommitOf(options.revision));
  const std::string snapshot = cache.SnapshotPath(commit);
  if (HasParts(snapshot, options.parts)) return snapshot;
  return absl::NotFoundError(
      absl::StrCat(options.repository, " is not complete in the cache ", options.hub.cache_dir));
}

absl::StatusOr<std::string> Pull(const PullOptions& options, const std::atomic<bool>& stop) {
  RETURN_IF_ERROR(CheckNames(options));
  if (!options.hub.offline) return Puller(options, stop).Run();
  absl::StatusOr<std::string> cached = CachedSnapshot(options);
  if (cached.ok()) return cached;
  return absl::NotFoundError(
      absl::StrCat(options.repository, ": ", cached.status().message(),
                   ", and this host is told to be offline (HF_HUB_OFFLINE or "
                   "--offline)"));
}

}  // namespace regatta
