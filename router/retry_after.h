// RetryAfter: when a client that was refused for a full queue should come again. Knows the cluster
// only by its counters.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "absl/time/time.h"
#include "proto/cluster.pb.h"

namespace regatta {

// Thread-safe. Needs no clock: states say when they were true.
class RetryAfter {
 public:
  // States in the order of their time; about one a second.
  void Observe(const ClusterState& state);

  // Seconds until what waits now has been served, at the rate at which requests lately finished
  // (a mean that forgets over kMemory). At least 1; kUnknownSeconds while requests wait and none
  // finishes.
  double Seconds() const;

  static constexpr double kMemorySeconds = 10;
  static constexpr double kUnknownSeconds = 30;

 private:
  mutable absl::Mutex mutex_;
  int64_t time_ns_ ABSL_GUARDED_BY(mutex_) = 0;  // of the newest state; 0 = none yet
  uint64_t finished_ ABSL_GUARDED_BY(mutex_) = 0;
  uint32_t waiting_ ABSL_GUARDED_BY(mutex_) = 0;
  double rate_ ABSL_GUARDED_BY(mutex_) = 0;  // requests per second
};

// Shows a RetryAfter the state of the cluster, again and again, on a thread of its own.
class RetryAfterWatch {
 public:
  // Asks for the state: Coordinator::State. Must not block; may answer from any thread, or never.
  using AskState = std::function<void(std::function<void(ClusterState)> reply)>;

  explicit RetryAfterWatch(AskState ask, absl::Duration period = absl::Seconds(1));
  ~RetryAfterWatch();

  double Seconds() const { return estimate_->Seconds(); }

 private:
  const AskState ask_;
  const absl::Duration period_;
  const std::shared_ptr<RetryAfter> estimate_ = std::make_shared<RetryAfter>();
  absl::Notification stop_;
  std::thread thread_;
};

}  // namespace regatta
