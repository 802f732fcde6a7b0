// Follows the router's Watch stream during one load point and keeps its course beside the client's.
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

// Watches from construction to Finish (or destruction). A router without Watch, one that dies, or
// no channel leaves the figures out; it disturbs nothing.
class ClusterMonitor {
 public:
  explicit ClusterMonitor(const std::shared_ptr<grpc::Channel>& channel);

  // What the client sees at this moment; call from one thread.
  void Observe(const LoadProgress& progress) { timeline_.AddClient(progress); }
  // The newest state; none yet, or none ever.
  std::optional<ClusterState> Latest() const;

  // Ends the stream and fills info.max_kv_usage; the point over time from `start_ns` on, the
  // RealClock time at which its load began.
  PointTimeline Finish(int64_t start_ns, RegattaInfo& info);

 private:
  void Add(const ClusterState& state);

  PointTimelineRecorder timeline_;
  mutable absl::Mutex mutex_;
  std::optional<ClusterState> latest_ ABSL_GUARDED_BY(mutex_);
  double max_kv_usage_ ABSL_GUARDED_BY(mutex_) = 0;  // of all states: the course is thinned
  WatchStream watch_;                                // last: its thread uses the others
};

}  // namespace regatta
