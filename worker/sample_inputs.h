// SampleInputs: masks on their way from the Run stream to the sampling that waits for them. The
// thread that reads puts them, in any order of steps; the one that launches takes them in step
// order.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "proto/worker.pb.h"

namespace regatta {

class SampleInputs {
 public:
  // A backstop, as the router fences a group whose step is late long before.
  static constexpr absl::Duration kTimeout = absl::Seconds(60);
  // Messages that may wait; a group's max_inflight is at most 64.
  static constexpr size_t kMaxQueued = 128;

  explicit SampleInputs(absl::Duration timeout = kTimeout) : timeout_(timeout) {}

  // RESOURCE_EXHAUSTED when kMaxQueued wait already, INVALID_ARGUMENT for a second one of a step.
  absl::Status Put(SampleInput input) ABSL_LOCKS_EXCLUDED(mutex_);
  // Waits for the masks of `step_id` and takes them; those of earlier steps are dropped. `health`
  // is asked while waiting. Errors: those of `health`, CANCELLED after Close, DEADLINE_EXCEEDED.
  absl::StatusOr<std::string> Await(uint64_t step_id, absl::FunctionRef<absl::Status()> health)
      ABSL_LOCKS_EXCLUDED(mutex_);
  // Whether Await would not wait, which it may come to within `time`.
  bool AwaitFor(uint64_t step_id, absl::Duration time) ABSL_LOCKS_EXCLUDED(mutex_);
  // Ends waits for what has not come, now and later.
  void Close() ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  const absl::Duration timeout_;
  absl::Mutex mutex_;
  std::map<uint64_t, std::string> masks_ ABSL_GUARDED_BY(mutex_);  // by step
  bool closed_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace regatta
