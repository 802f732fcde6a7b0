// FileWatcher: tells when files have changed, by looking every few seconds. Mounted secrets are
// links whose targets are exchanged, which notifications of the kernel do not show.
#pragma once

#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"

namespace regatta {

class FileWatcher {
 public:
  ~FileWatcher() { Stop(); }

  // Before Start. `reload` is called on a thread of the watcher's own when one of `paths` has
  // changed since Watch, and again each time it looks while it fails: what is written in several
  // steps is read when it is whole. `report` hears of success, and once of each failure.
  void Watch(std::vector<std::string> paths, std::function<absl::Status()> reload,
             std::function<void(const absl::Status&)> report);
  // Nothing happens when nothing is watched.
  void Start(absl::Duration interval);
  void Stop();

 private:
  struct Entry {
    std::vector<std::string> paths;
    std::function<absl::Status()> reload;
    std::function<void(const absl::Status&)> report;
    std::string signature;  // of the files as last loaded
    std::string last_error;
  };
  void Run(absl::Duration interval);
  static void Check(Entry& entry);

  std::vector<Entry> entries_;  // of the thread, once it runs
  absl::Mutex mutex_;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace regatta
