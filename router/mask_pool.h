// MaskPool: computes the masks that steps await, a few sequences at a time, off the thread that
// plans, and sends them in step order.
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
#include "proto/worker.pb.h"
#include "router/mask_ledger.h"

namespace regatta {

class MaskPool {
 public:
  // Called from the pool's threads, one step at a time; must not block.
  using Send = std::function<void(SampleInput)>;

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
    std::vector<uint32_t> masks;  // [entries, words]
    size_t begun = 0, done = 0;   // entries
  };
  void Work() ABSL_LOCKS_EXCLUDED(mutex_);
  // The oldest step with an entry that nobody has begun; null when there is none.
  Step* Unbegun() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Fill(Step& step, size_t entry) const;
  // Sends what is complete, oldest first, unless another thread does.
  void SendComplete() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const uint32_t num_threads_;
  const size_t words_;  // of a mask
  const Send send_;
  mutable absl::Mutex mutex_;
  std::deque<std::unique_ptr<Step>> steps_ ABSL_GUARDED_BY(mutex_);  // not sent
  bool sending_ ABSL_GUARDED_BY(mutex_) = false;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::vector<std::thread> threads_;  // of the thread that calls Compute and Stop
};

}  // namespace regatta
