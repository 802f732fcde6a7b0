// A load point over time, small however long the point lasts.
#pragma once

#include <cstdint>

#include "orchestrator/load/load_options.h"
#include "orchestrator/statistics/point_samples.h"
#include "orchestrator/statistics/thinned_series.h"
#include "proto/cluster.pb.h"
#include "proto/results.pb.h"

namespace regatta {

// Client and router may add from a thread each.
class PointTimelineRecorder {
 public:
  void AddClient(const LoadProgress& progress);
  // `received_ns`: RealClock time, so that both columns are on one clock; off by the way of a
  // message from router to client.
  void AddRouter(const ClusterState& state, int64_t received_ns);

  // The columns of what was added, the router's from `start_ns` on, the RealClock time at which the
  // load began: that is 0 on the axis of all. Leaves nothing behind.
  PointTimeline Take(int64_t start_ns);

 private:
  struct ClientSample {
    double ms = 0, tokens = 0;
    uint32_t in_flight = 0;
  };
  struct RouterSample {
    int64_t time_ns = 0;
    double kv_usage = 0;
    uint64_t tokens = 0;
    uint32_t running = 0, waiting = 0;
  };

  ThinnedSeries<ClientSample> client_{kMaxTimelineSamples};
  ThinnedSeries<RouterSample> router_{kMaxTimelineSamples};
};

// How long users waited between tokens, as 101 even quantiles.
void AddGapQuantiles(const PointSamples& samples, PointTimeline& timeline);

}  // namespace regatta
