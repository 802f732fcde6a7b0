// Follows the router's Watch stream during one load point: averages it over time and keeps its
// course beside the client's.
#pragma once

#include <grpcpp/channel.h>

#include <memory>
#include <optional>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "orchestrator/cluster/point_timeline.h"
#include "orchestrator/cluster/watch_stream.h"
#include "orchestrator/load/load_generator.h"
#include "proto/cluster.pb.h"
#include "proto/results.pb.h"

namespace regatta {

// Time-weighted means of successive states: each state holds from its time until the next one's.
class StateAverage {
 public:
  void Add(const ClusterState& state);
  // Fills mean_running, mean_waiting, mean_kv_usage and max_kv_usage; nothing without two states.
  void Fill(RegattaInfo& info) const;

 private:
  ClusterState last_;
  bool any_ = false;
  double seconds_ = 0, running_ = 0, waiting_ = 0, kv_usage_ = 0, max_kv_usage_ = 0;
};

// Watches from construction to Finish (or destruction). A router without Watch, one that dies, or
// no channel leaves the figures out; it disturbs nothing.
class ClusterMonitor {
 public:
  explicit ClusterMonitor(const std::shared_ptr<grpc::Channel>& channel);

  // What the client sees at this moment; call from one thread.
  void Observe(const LoadProgress& progress) { timeline_.AddClient(progress); }
  // The newest state; none yet, or none ever.
  std::optional<ClusterState> Latest() const;

  // Ends the stream, fills what was seen into `info`; the point over time from `start_ns` on, the
  // RealClock time at which its load began.
  PointTimeline Finish(int64_t start_ns, RegattaInfo& info);

 private:
  void Add(const ClusterState& state);

  StateAverage average_;
  PointTimelineRecorder timeline_;
  mutable absl::Mutex mutex_;
  std::optional<ClusterState> latest_ ABSL_GUARDED_BY(mutex_);
  WatchStream watch_;  // last: its thread uses the others
};

}  // namespace regatta
