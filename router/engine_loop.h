// EngineLoop: runs one group. Its thread owns the group's Scheduler: plans go to the workers,
// results come back, deltas go to clients; masks of constrained sequences are computed beside it
// and follow their plans. It owns exactly the requests it was given and has not
// ended; when it stops it hands them back. Policy is in scheduler.h.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <thread>
#include <utility>
#include <variant>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "common/bounded_queue.h"
#include "common/clock.h"
#include "router/mask_pool.h"
#include "router/metrics/group_metrics.h"
#include "router/request.h"
#include "router/scheduler/mask_ledger.h"
#include "router/scheduler/scheduler.h"
#include "router/step_timer.h"
#include "router/worker_group.h"

namespace regatta {

// Who gave the loop its requests. Called from the loop's thread; must not block.
class EngineOwner {
 public:
  virtual ~EngineOwner() = default;
  // These requests have had their last delta.
  virtual void OnFinished(uint64_t epoch, std::vector<uint64_t> ids) = 0;
  // The loop's last call: what still lives, with its tokens so far. `cause` is OK after Stop(),
  // else why the group is fenced.
  virtual void OnStopped(uint64_t epoch, absl::Status cause,
                         std::vector<std::unique_ptr<Request>> live) = 0;
};

struct EngineOptions {
  SchedulerOptions scheduler;
  uint64_t epoch = 0;                              // of the group
  absl::Duration step_timeout = absl::Seconds(2);  // floor of the limit on a step's time
  uint32_t vocab_size = 0;                         // of masks
  uint32_t mask_threads = 4;                       // compute masks, once there are any
  size_t inbox_capacity = 1 << 16;        // commands; requests leave half of it to everything else
  std::shared_ptr<GroupMetrics> metrics;  // null: for nobody
};

// What became of a request that was given to an engine loop.
enum class AddOutcome { kTaken, kFull, kStopped };

class EngineLoop {
 public:
  // Starts the thread. `clock` and `owner` must outlive the loop.
  EngineLoop(const EngineOptions& options, std::unique_ptr<WorkerGroup> group, const Clock& clock,
             EngineOwner& owner);
  // Joins the thread; stops it first (with OnStopped) when nobody did.
  ~EngineLoop();

  // `request` is untouched unless taken. A full inbox is worth another try.
  [[nodiscard]] AddOutcome Add(std::unique_ptr<Request>&& request);
  // Ends a request before the next plan. OK `reason`: its client wished so. Otherwise it fails with
  // `reason`, unless it has started. Never lost: a group whose inbox cannot take it is fenced.
  void Cancel(uint64_t id, absl::Status reason);
  // Lets the plans in flight commit, then hands everything back.
  void Stop();

  SchedulerState state() const ABSL_LOCKS_EXCLUDED(state_mutex_);

 private:
  struct CancelCommand {
    uint64_t id;
    absl::Status reason;
  };
  struct StopCommand {};
  using Command = std::variant<std::unique_ptr<Request>, CancelCommand, StopCommand,
                               absl::StatusOr<StepResult>>;

  void Tell(Command command);
  void Run();
  bool Receive();
  void Handle(std::unique_ptr<Request> request);
  void Handle(const CancelCommand& cancel);
  void Handle(StopCommand) { stopping_ = true; }
  void Handle(absl::StatusOr<StepResult> result);
  void CheckOverflow();
  void CheckOverdue();
  void DispatchPlans();
  // Constraints take the tokens of step `step_id`: events_ from `first` on.
  void AcceptTokens(uint64_t step_id, size_t first);
  // Takes the tokens of `event`, or says why its sequence must fail.
  absl::Status AcceptTokens(const SequenceEvent& event);
  void ComputeDueMasks();
  // Sends the masks of a step; from threads of the pool.
  void SendMasks(StepMasks masks) ABSL_LOCKS_EXCLUDED(sent_mutex_);
  // Steps whose masks were sent run from then on; what masks cost is the scheduler's to know.
  void NoteMasksSent() ABSL_LOCKS_EXCLUDED(sent_mutex_);
  void Publish();
  void PublishEvents();
  void Send(Request& request, const SequenceEvent& event, int64_t time_ns);
  using LiveRequest = absl::flat_hash_map<uint64_t, std::unique_ptr<Request>>::iterator;
  void Forget(LiveRequest request);
  void HandBack();

  const EngineOptions options_;
  const std::unique_ptr<WorkerGroup> group_;
  const std::shared_ptr<GroupMetrics> metrics_;  // written by the loop's thread
  const Clock& clock_;
  EngineOwner& owner_;
  BoundedQueue<Command> inbox_;
  std::atomic<bool> overflowed_ = false;  // the inbox was full for what must not be lost

  // Of the loop's thread.
  Scheduler scheduler_;
  StepTimer timer_;
  MaskLedger ledger_;
  // Masks that were sent, of which the loop's thread does not know yet.
  struct SentMasks {
    uint64_t step_id;
    int64_t time_ns;
    int64_t computing_ns;
    std::vector<MaskWork> work;
  };
  absl::Mutex sent_mutex_;
  std::vector<SentMasks> masks_sent_ ABSL_GUARDED_BY(sent_mutex_);
  MaskPool masks_;
  absl::flat_hash_map<uint64_t, std::unique_ptr<Request>> live_;
  std::vector<SequenceEvent> events_;    // committed, not yet published
  std::vector<int64_t> event_times_ns_;  // of events_
  // Of sequences whose event says FINISH_REASON_ERROR.
  absl::flat_hash_map<uint64_t, absl::Status> failures_;
  std::vector<uint64_t> finished_;  // not yet reported
  bool stopping_ = false;
  absl::Status cause_;  // not OK: fenced

  mutable absl::Mutex state_mutex_;
  SchedulerState state_ ABSL_GUARDED_BY(state_mutex_);
  std::thread thread_;
};

}  // namespace regatta
