// GrpcWorkerGroup: a group over Run streams, one per rank. Watches every rank's life; one dead or
// silent rank fences the group. Takes no decision about steps: a slow step is the engine loop's
// business.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "common/clock.h"
#include "router/cluster/rank_stream.h"
#include "router/metrics/group_metrics.h"
#include "router/worker_group.h"

namespace regatta {

struct GrpcWorkerGroupOptions {
  uint64_t epoch = 0;
  // Silence after which a rank is dead; it beats every 100 ms. The first sign of life may take
  // kFirstBeatTimeout.
  absl::Duration heartbeat_timeout = absl::Milliseconds(500);
  // Per rank, not yet written; masks count too. Only memory is bounded by it: a rank may be late
  // with what gates no result, and the news that a plan is written may come after the plan's
  // result.
  size_t max_queued_plans = 256;
  std::shared_ptr<GroupMetrics> metrics;  // with as many ranks; null: nobody counts
};

class GrpcWorkerGroup final : public WorkerGroup, private RankStream::Listener {
 public:
  static constexpr absl::Duration kFirstBeatTimeout = absl::Seconds(5);

  // `ranks` in rank order.
  GrpcWorkerGroup(const GrpcWorkerGroupOptions& options, std::vector<RankEndpoint> ranks);
  ~GrpcWorkerGroup() override;

  void Start(OnResult on_result) override;
  void Dispatch(const StepPlan& plan) override;
  void SendMasks(SampleInput input) override;
  std::string Laggard() const override ABSL_LOCKS_EXCLUDED(mutex_);
  void Stop() override ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  struct RankState {
    int64_t last_heard_ns = 0;
    bool heard = false;
    Heartbeat newest;
  };
  void OnResponse(RankStream& stream, const RunResponse& response) override
      ABSL_LOCKS_EXCLUDED(mutex_);
  void OnClosed(RankStream& stream, const grpc::Status& status) override
      ABSL_LOCKS_EXCLUDED(mutex_);
  // Counts the step that a rank has told the time of.
  void CountStep(const RankStream& stream, uint64_t compute_ns)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void SendToAll(const RunRequest& request) ABSL_LOCKS_EXCLUDED(mutex_);
  // Fences once; what comes later is ignored.
  void Fence(const std::string& cause) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Ranks hash each plan as they got it; all must agree.
  void CheckHash(const RankStream& stream, uint64_t step_id, uint64_t plan_hash)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void WatchHeartbeats() ABSL_LOCKS_EXCLUDED(mutex_);

  const GrpcWorkerGroupOptions options_;
  const RealClock clock_;
  std::vector<std::unique_ptr<RankStream>> streams_;
  std::thread watcher_;

  mutable absl::Mutex mutex_;
  OnResult on_result_ ABSL_GUARDED_BY(mutex_);  // empty: fenced, stopped or not started
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::vector<RankState> ranks_ ABSL_GUARDED_BY(mutex_);
  struct StepHash {
    uint64_t step_id = 0;
    uint64_t hash = 0;
  };
  std::array<StepHash, 64> hashes_ ABSL_GUARDED_BY(mutex_) = {};
};

}  // namespace regatta
