// StepFlights: the steps between launch and collection, a ring of what each needs for itself: input
// staging, pending draws, a marker in the device's stream.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "kernels/ops.h"
#include "worker/sampler.h"

namespace regatta {

struct StepFlight {
  Buffer staging;
  Buffer masks;  // staging too; last stage
  PendingDraws pending;
  std::unique_ptr<Marker> marker;
  uint64_t step_id = 0;
  uint64_t plan_hash = 0;
  std::chrono::steady_clock::time_point launched;
  std::chrono::steady_clock::duration idle{0};  // the device's, while masks were awaited
};

// One thread takes and launches, one collects.
class StepFlights {
 public:
  explicit StepFlights(std::vector<StepFlight> flights) : flights_(std::move(flights)) {}

  // A flight for the next step, once there is room. UNAVAILABLE after Abort, DEADLINE_EXCEEDED when
  // the oldest step is not collected.
  absl::StatusOr<StepFlight*> Take() ABSL_LOCKS_EXCLUDED(mutex_);
  // The flight that Take gave is on its way.
  void Launched() ABSL_LOCKS_EXCLUDED(mutex_);
  // The oldest on its way, once the device has come past its marker; `health` is asked while
  // waiting. Errors: those of `health`, INTERNAL for a device fault, UNAVAILABLE,
  // DEADLINE_EXCEEDED.
  absl::StatusOr<StepFlight*> Oldest(absl::FunctionRef<absl::Status()> health)
      ABSL_LOCKS_EXCLUDED(mutex_);
  // What Oldest gave is done with.
  void Collected() ABSL_LOCKS_EXCLUDED(mutex_);
  // Whether all that was launched is collected.
  bool none_under_way() const ABSL_LOCKS_EXCLUDED(mutex_);
  // Ends waits.
  void Abort(const std::string& reason) ABSL_LOCKS_EXCLUDED(mutex_);
  // UNAVAILABLE after Abort.
  absl::Status aborted() const ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  bool HasRoom() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return launched_ - collected_ < flights_.size() || !aborted_.ok();
  }

  std::vector<StepFlight> flights_;
  mutable absl::Mutex mutex_;
  uint64_t launched_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t collected_ ABSL_GUARDED_BY(mutex_) = 0;
  absl::Status aborted_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace regatta
