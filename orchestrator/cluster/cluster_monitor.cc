// States as they come; see cluster_monitor.h.
#include "orchestrator/cluster/cluster_monitor.h"

#include <algorithm>

#include "common/clock.h"

namespace regatta {
namespace {

constexpr uint32_t kWatchMs = 100;

}  // namespace

ClusterMonitor::ClusterMonitor(const std::shared_ptr<grpc::Channel>& channel)
    : watch_(channel, kWatchMs, [this](const ClusterState& state) { Add(state); }) {}

void ClusterMonitor::Add(const ClusterState& state) {
  timeline_.AddRouter(state, RealClock().NowNs());
  absl::MutexLock lock(&mutex_);
  latest_ = state;
  max_kv_usage_ = std::max(max_kv_usage_, state.kv_usage());
}

std::optional<ClusterState> ClusterMonitor::Latest() const {
  absl::MutexLock lock(&mutex_);
  return latest_;
}

PointTimeline ClusterMonitor::Finish(int64_t start_ns, RegattaInfo& info) {
  watch_.Stop();
  {
    absl::MutexLock lock(&mutex_);
    info.set_max_kv_usage(max_kv_usage_);
  }
  return timeline_.Take(start_ns);
}

}  // namespace regatta
