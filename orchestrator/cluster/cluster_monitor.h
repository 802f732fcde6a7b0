// Follows the router's Watch stream during one load point and averages it over time.
#pragma once

#include <grpcpp/channel.h>

#include <atomic>
#include <memory>
#include <thread>

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
  ~ClusterMonitor();

  // Ends the stream and fills what was seen into `info`.
  void Finish(RegattaInfo& info);

 private:
  struct Watching;

  void Stop();

  std::unique_ptr<Watching> watching_;
  StateAverage average_;
  std::thread reader_;
};

}  // namespace regatta
