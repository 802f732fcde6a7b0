// RankLifecycle: the one rank a worker process may hold, from Prepare to Dissolve. Knows epochs and
// states, and no transport.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "proto/worker.pb.h"
#include "worker/device.h"
#include "worker/executor.h"
#include "worker/rank_owner.h"

namespace regatta {

// For a router's calls whose owner has gone quiet: from Prepare, or taking over, to Form, and from
// Form, which other groups of its layout may still be at, to Run.
inline constexpr absl::Duration kOwnerGrace = absl::Seconds(10);

// Thread-safe. Every epoch is refused with FAILED_PRECONDITION when it is older than the newest
// seen; every call with ABORTED while the rank is another router's, which lives: its call of Form
// or its Run stream goes on, or it is between calls for less than `owner_grace`.
class RankLifecycle {
 public:
  // `device` must outlive it.
  explicit RankLifecycle(Device& device, absl::Duration owner_grace = kOwnerGrace)
      : device_(device), owner_grace_(owner_grace) {}

  // Sets state, epoch and what the rank was formed with.
  void Describe(WorkerDescription& description) const ABSL_LOCKS_EXCLUDED(mutex_);

  // Returns the communicator id of a group to be; it is gone after Form or Dissolve.
  absl::StatusOr<std::string> Prepare(const PrepareRequest& request, const RouterCall& call)
      ABSL_LOCKS_EXCLUDED(mutex_);

  // Builds the rank; returns when it can run or has failed (then nothing is held).
  // FAILED_PRECONDITION while a rank is held, or when this epoch had its rank or was dissolved;
  // CANCELLED when dissolved meanwhile.
  absl::StatusOr<Formed> Form(const FormRequest& request, const RouterCall& call,
                              const std::function<void(const FormProgress&)>& progress)
      ABSL_LOCKS_EXCLUDED(mutex_);
  // Makes a Form in progress end with CANCELLED.
  void StopForming() { stop_ = true; }

  // Lends the executor to a Run stream until EndRun. `fence` must make that stream end soon; it is
  // called at most once, from another thread, and may be called after EndRun.
  absl::StatusOr<Executor*> BeginRun(const RunStart& start, const std::string& router,
                                     std::function<void(const std::string&)> fence)
      ABSL_LOCKS_EXCLUDED(mutex_);
  // Tells every rank of the group of `epoch` to give up its step: its stream is lost, and with it
  // its router. Does nothing when that one no longer runs.
  void AbortRun(uint64_t epoch, const std::string& reason) ABSL_LOCKS_EXCLUDED(mutex_);
  // Gives the rank back: the stream has ended, well or not.
  void EndRun(const absl::Status& outcome) ABSL_LOCKS_EXCLUDED(mutex_);

  // Gives back whatever is held, after ending what is in progress. DEADLINE_EXCEEDED when that
  // takes longer than `timeout`; it goes on, and Dissolve may be called again. `take_over`: also
  // from another router, for `router` to form it within the grace.
  absl::Status Dissolve(uint64_t epoch, const std::string& router, bool take_over,
                        absl::Duration timeout) ABSL_LOCKS_EXCLUDED(mutex_);
  // The same whatever the epoch, when the process is about to end.
  absl::Status Close(const std::string& reason, absl::Duration timeout) ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  enum class State { kIdle, kForming, kFormed, kRunning, kEnding, kFaulted };
  static const char* NameOf(State state);
  void Destroy(std::unique_ptr<Executor> executor) ABSL_LOCKS_EXCLUDED(mutex_);
  absl::Status SeeEpoch(uint64_t epoch) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status CheckOwner(const std::string& router) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status CheckFree(const char* call) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool Settled() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return state_ != State::kForming && state_ != State::kRunning && state_ != State::kEnding;
  }

  Device& device_;
  const absl::Duration owner_grace_;
  std::atomic<bool> stop_ = false;
  mutable absl::Mutex mutex_;
  State state_ ABSL_GUARDED_BY(mutex_) = State::kIdle;
  uint64_t newest_epoch_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t spent_epoch_ ABSL_GUARDED_BY(mutex_) = 0;  // the newest formed or dissolved
  FormRequest request_ ABSL_GUARDED_BY(mutex_);       // of the rank held, or the last one
  RankOwner owner_ ABSL_GUARDED_BY(mutex_);
  std::string run_by_ ABSL_GUARDED_BY(mutex_);  // the router of the newest Run stream
  std::unique_ptr<GroupOffer> offer_ ABSL_GUARDED_BY(mutex_);
  std::unique_ptr<Executor> executor_ ABSL_GUARDED_BY(mutex_);
  std::function<void(const std::string&)> fence_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace regatta
