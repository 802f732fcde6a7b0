// A rate of completions that forgets exponentially, and the queue divided by it.
#include "router/retry_after.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace regatta {
namespace {

// Below one request in ten minutes nothing can be foretold.
constexpr double kLeastRate = 1.0 / 600;

}  // namespace

void RetryAfter::Observe(const ClusterState& state) {
  absl::MutexLock lock(&mutex_);
  const bool first = time_ns_ == 0;
  const double seconds = static_cast<double>(state.time_ns() - time_ns_) * 1e-9;
  if (!first && (seconds <= 0 || state.finished() < finished_)) return;  // Out of order.
  if (!first) {
    const double now = static_cast<double>(state.finished() - finished_) / seconds;
    const double weight = 1 - std::exp(-seconds / kMemorySeconds);
    rate_ += weight * (now - rate_);
  }
  time_ns_ = state.time_ns();
  finished_ = state.finished();
  waiting_ = state.waiting();
}

double RetryAfter::Seconds() const {
  absl::MutexLock lock(&mutex_);
  if (waiting_ == 0) return 1;
  if (rate_ < kLeastRate) return kUnknownSeconds;
  return std::max(1.0, waiting_ / rate_);
}

RetryAfterWatch::RetryAfterWatch(AskState ask, absl::Duration period)
    : ask_(std::move(ask)), period_(period) {
  thread_ = std::thread([this] {
    do {
      // Shared: an answer may come when this is gone.
      ask_([estimate = estimate_](const ClusterState& state) { estimate->Observe(state); });
    } while (!stop_.WaitForNotificationWithTimeout(period_));
  });
}

RetryAfterWatch::~RetryAfterWatch() {
  stop_.Notify();
  thread_.join();
}

}  // namespace regatta
