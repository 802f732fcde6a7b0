// RunSession: one Run stream of a rank. Plans are read into a bounded queue, launched one after
// another on one thread, collected on a second and answered in order; heartbeats go in between.
// Masks go past the queue to the launch that waits for them.
#pragma once

#include <grpcpp/grpcpp.h>

#include <atomic>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "common/bounded_queue.h"
#include "proto/worker.pb.h"
#include "worker/executor.h"
#include "worker/rank_lifecycle.h"

namespace regatta {

// Plans that may wait; a group's max_inflight is at most 64, so a full queue is a broken router.
inline constexpr size_t kMaxQueuedPlans = 128;

class RunSession final : public grpc::ServerBidiReactor<RunRequest, RunResponse>,
                         public std::enable_shared_from_this<RunSession> {
 public:
  // Runs its argument on the thread that executes plans. Called once the stream has named its rank.
  using Launcher = std::function<void(std::shared_ptr<RunSession>)>;

  // `lifecycle` must outlive the session, which keeps itself alive until the stream is done.
  static std::shared_ptr<RunSession> Start(grpc::CallbackServerContext& context,
                                           RankLifecycle& lifecycle, Launcher launch);

  // Executes plans until the stream ends, fails or is fenced; then gives the rank back and closes
  // the stream. Call on the thread that `launch` provides.
  void ExecutePlans();
  // Tells the router how far this rank has come, and what its GPU says. Does nothing before the
  // first and after the last message.
  void SendHeartbeat(const std::optional<GpuReading>& gpu);
  // Ends the session soon; the first reason counts. Thread-safe.
  void Fence(const absl::Status& reason) ABSL_LOCKS_EXCLUDED(mutex_);

  // gRPC's reactions.
  void OnReadDone(bool ok) override;
  void OnWriteDone(bool ok) override ABSL_LOCKS_EXCLUDED(mutex_);
  void OnCancel() override;
  void OnDone() override { self_.reset(); }

 private:
  RunSession(grpc::CallbackServerContext& context, RankLifecycle& lifecycle, Launcher launch)
      : context_(context), lifecycle_(lifecycle), launch_(std::move(launch)) {}
  absl::Status TakeStart();
  absl::Status TakePlan();
  absl::Status TakeSampleInput();
  // Launches plans until the stream ends, a plan fails or the session is fenced.
  absl::Status LaunchPlans();
  // Answers the steps that were launched, until all are or one fails, which fences the session.
  void CollectSteps();
  void Send(RunResponse response) ABSL_LOCKS_EXCLUDED(mutex_);
  // Sends what is queued, unless `status` is an error, then `status`.
  void Close(const absl::Status& status) ABSL_LOCKS_EXCLUDED(mutex_);
  absl::Status fenced() const ABSL_LOCKS_EXCLUDED(mutex_);

  grpc::CallbackServerContext& context_;
  RankLifecycle& lifecycle_;
  const Launcher launch_;
  std::shared_ptr<RunSession> self_;  // until OnDone
  RunRequest request_;                // being read
  uint64_t epoch_ = 0;                // of the rank
  Executor* executor_ = nullptr;      // lent between BeginRun and EndRun
  bool draws_ = false;                // this rank's executor
  std::atomic<bool> started_ = false;
  BoundedQueue<std::string> plans_{kMaxQueuedPlans};
  SampleInputs inputs_;
  BoundedQueue<uint64_t> steps_{kMaxQueuedPlans};  // launched and not collected; ids
  std::atomic<uint64_t> received_ = 0, launched_ = 0, completed_ = 0;  // step ids

  mutable absl::Mutex mutex_;
  std::deque<RunResponse> outgoing_ ABSL_GUARDED_BY(mutex_);     // the first one is being written
  std::optional<absl::Status> outcome_ ABSL_GUARDED_BY(mutex_);  // once closed
  absl::Status fence_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace regatta
