// MaskPool: computes the masks that steps await, a few sequences at a time, off the thread that
// plans, and sends them in step order. What the masks of a step may cost is limited together, so
// that no number of costly ones holds a step up: each may take an equal share of what is left, what
// it does not need is the others', and those that lack work are gone on with as long as there is
// any. Masks that remain cut fail their sequences (OutputConstraint::status).
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "common/clock.h"
#include "proto/worker.pb.h"
#include "router/scheduler/mask_ledger.h"

namespace regatta {

// What the masks of one step may cost together, in work of OutputConstraint: some 80 ms of a core.
// Far above what the scheduler plans, so that it ends only what nobody could foresee.
inline constexpr uint64_t kMaxStepMaskWork = 16'000'000;
// With less than this a cut mask is not tried again.
inline constexpr uint64_t kLeastMaskWork = 20'000;

// What a sequence's mask cost.
struct MaskWork {
  uint64_t id = 0;
  uint64_t work = 0;
};

// The masks of one step, and what they cost.
struct StepMasks {
  SampleInput input;
  std::vector<MaskWork> work;  // in plan order, without sequences that had ended
  int64_t computing_ns = 0;    // of all threads together
};

class MaskPool {
 public:
  // Called from the pool's threads, one step at a time; must not block.
  using Send = std::function<void(StepMasks)>;

  // `num_threads` start with the first step.
  MaskPool(uint32_t num_threads, uint32_t vocab_size, Send send);
  ~MaskPool() { Stop(); }

  // Takes the next step; never waits. Its constraints are the pool's until its masks are sent.
  void Compute(MaskLedger::Due due) ABSL_LOCKS_EXCLUDED(mutex_);
  // Whether the masks of `step_id` are still being computed.
  bool Computing(uint64_t step_id) const ABSL_LOCKS_EXCLUDED(mutex_);
  // Waits for the masks in work; those that are not begun are dropped. Nothing is sent afterwards
  // and no constraint is used.
  void Stop() ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  struct Step {
    MaskLedger::Due due;
    std::vector<uint32_t> masks;    // [entries, words]
    std::vector<uint64_t> work;     // spent, by entry
    std::deque<size_t> unfinished;  // entries that nobody works at
    std::deque<size_t> cut;         // entries that the work so far did not suffice for
    size_t working = 0;             // entries that somebody works at
    uint64_t work_left = kMaxStepMaskWork;
    int64_t computing_ns = 0;

    bool complete() const { return unfinished.empty() && working == 0; }
  };
  void Work() ABSL_LOCKS_EXCLUDED(mutex_);
  // The oldest step with an entry that nobody works at; null when there is none.
  Step* Unfinished() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Takes the next entry and its share of the step's work, and computes it.
  void ComputeOne(Step& step) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  MaskCost Fill(Step& step, size_t entry, uint64_t work) const;
  // Sends what is complete, oldest first, unless another thread does.
  void SendComplete() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  static StepMasks Collect(Step& step);

  const uint32_t num_threads_;
  const size_t words_;  // of a mask
  const Send send_;
  const RealClock clock_;
  mutable absl::Mutex mutex_;
  std::deque<std::unique_ptr<Step>> steps_ ABSL_GUARDED_BY(mutex_);  // not sent
  bool sending_ ABSL_GUARDED_BY(mutex_) = false;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::vector<std::thread> threads_;  // of the thread that calls Compute and Stop
};

}  // namespace regatta
