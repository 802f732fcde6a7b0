// Energy and course of the GPUs of a cluster that runs elsewhere, during a load point, from what
// its workers read and the router's Watch passes on.
#pragma once

#include <grpcpp/channel.h>

#include <cstdint>
#include <limits>
#include <map>
#include <memory>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "orchestrator/cluster/watch_stream.h"
#include "proto/cluster.pb.h"
#include "proto/gpu.pb.h"
#include "proto/results.pb.h"

namespace regatta {

// Readings of one GPU, stamped by its worker's clock and moved to that of this host by their age
// and the quickest message: what is between two of them is exact, where they lie is late by the way
// of that message. Pure.
class RemoteReadings {
 public:
  // `received_ns`: RealClock of this host. The same one may come again, older.
  void Add(const GpuReading& reading, int64_t received_ns);
  // Of this host's clock; there is one.
  int64_t newest_ns() const { return readings_.back().time_ns() + delay_ns_; }

  // Those of the load from `start_ns` to `end_ns`, on this host's clock. At both ends, as far as
  // there are readings beyond, stands one whose counter is interpolated.
  std::vector<GpuReading> Between(int64_t start_ns, int64_t end_ns) const;

 private:
  std::vector<GpuReading> readings_;                        // ascending in time
  int64_t delay_ns_ = std::numeric_limits<int64_t>::max();  // this host's clock less the worker's
};

// Watches from construction to Finish (or destruction). No channel, a router or workers that do
// not tell, leave the figures out.
class RemoteGpuMeter {
 public:
  explicit RemoteGpuMeter(const std::shared_ptr<grpc::Channel>& channel);

  // As GpuMeter::Finish, of a load that ends now; `cluster` names the GPUs. Waits for a reading of
  // each from after the end: half a second as a rule, at most two.
  void Finish(const ClusterDescription& cluster, int64_t start_ns, RegattaInfo& info,
              PointTimeline& timeline) ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  void Add(const ClusterState& state) ABSL_LOCKS_EXCLUDED(mutex_);

  absl::Mutex mutex_;
  std::map<uint32_t, RemoteReadings> gpus_ ABSL_GUARDED_BY(mutex_);  // by worker
  WatchStream watch_;  // last: its thread uses the others
};

}  // namespace regatta
