// Watching a clean-up; see cleanup_deadline.h.
#include "worker/cleanup_deadline.h"

#include <cstdio>
#include <cstdlib>
#include <utility>

#include "absl/time/time.h"

namespace regatta {
namespace {

// Freeing what fills a GPU and leaving a group take seconds.
constexpr absl::Duration kLongest = absl::Seconds(15);

}  // namespace

CleanupDeadline::CleanupDeadline(std::string what)
    : watcher_([this, what = std::move(what)] {
        if (done_.WaitForNotificationWithTimeout(kLongest)) return;
        std::fprintf(stderr, "regatta-worker: %s takes over %s; this process ends\n", what.c_str(),
                     absl::FormatDuration(kLongest).c_str());
        std::_Exit(1);
      }) {}

CleanupDeadline::~CleanupDeadline() {
  done_.Notify();
  watcher_.join();
}

}  // namespace regatta
