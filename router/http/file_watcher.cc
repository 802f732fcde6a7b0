// Polling of files; see file_watcher.h.
#include "router/http/file_watcher.h"

#include <sys/stat.h>

#include <utility>

#include "absl/strings/str_cat.h"

namespace regatta {
namespace {

// Differs when a file was written or exchanged.
std::string SignatureOf(const std::vector<std::string>& paths) {
  std::string signature;
  for (const std::string& path : paths) {
    struct stat info = {};
    if (stat(path.c_str(), &info) != 0) {
      signature += "absent;";
      continue;
    }
    absl::StrAppend(&signature, info.st_dev, ".", info.st_ino, ".", info.st_size, ".",
                    info.st_mtim.tv_sec, ".", info.st_mtim.tv_nsec, ";");
  }
  return signature;
}

}  // namespace

void FileWatcher::Watch(std::vector<std::string> paths, std::function<absl::Status()> reload,
                        std::function<void(const absl::Status&)> report) {
  std::string signature = SignatureOf(paths);
  entries_.push_back(
      {std::move(paths), std::move(reload), std::move(report), std::move(signature), ""});
}

void FileWatcher::Start(absl::Duration interval) {
  if (!entries_.empty()) thread_ = std::thread([this, interval] { Run(interval); });
}

void FileWatcher::Stop() {
  {
    absl::MutexLock lock(&mutex_);
    stopping_ = true;
  }
  if (thread_.joinable()) thread_.join();
}

void FileWatcher::Run(absl::Duration interval) {
  while (true) {
    {
      absl::MutexLock lock(&mutex_);
      if (mutex_.AwaitWithTimeout(absl::Condition(&stopping_), interval)) return;
    }
    for (Entry& entry : entries_) Check(entry);
  }
}

void FileWatcher::Check(Entry& entry) {
  std::string signature = SignatureOf(entry.paths);
  if (signature == entry.signature) return;
  const absl::Status status = entry.reload();
  const std::string error(status.message());
  if (status.ok()) entry.signature = std::move(signature);
  if (status.ok() || error != entry.last_error) entry.report(status);
  entry.last_error = error;
}

}  // namespace regatta
