// States as they come; see cluster_monitor.h.
#include "orchestrator/cluster/cluster_monitor.h"

#include <algorithm>

#include "common/clock.h"

namespace regatta {
namespace {

constexpr uint32_t kWatchMs = 100;

}  // namespace

void StateAverage::Add(const ClusterState& state) {
  if (any_) {
    const double seconds = std::max<int64_t>(0, state.time_ns() - last_.time_ns()) / 1e9;
    seconds_ += seconds;
    running_ += seconds * last_.running();
    waiting_ += seconds * last_.waiting();
    kv_usage_ += seconds * last_.kv_usage();
  }
  any_ = true;
  max_kv_usage_ = std::max(max_kv_usage_, state.kv_usage());
  last_ = state;
}

void StateAverage::Fill(RegattaInfo& info) const {
  if (seconds_ <= 0) return;
  info.set_mean_running(running_ / seconds_);
  info.set_mean_waiting(waiting_ / seconds_);
  info.set_mean_kv_usage(kv_usage_ / seconds_);
  info.set_max_kv_usage(max_kv_usage_);
}

ClusterMonitor::ClusterMonitor(const std::shared_ptr<grpc::Channel>& channel)
    : watch_(channel, kWatchMs, [this](const ClusterState& state) { Add(state); }) {}

void ClusterMonitor::Add(const ClusterState& state) {
  average_.Add(state);
  timeline_.AddRouter(state, RealClock().NowNs());
  absl::MutexLock lock(&mutex_);
  latest_ = state;
}

std::optional<ClusterState> ClusterMonitor::Latest() const {
  absl::MutexLock lock(&mutex_);
  return latest_;
}

PointTimeline ClusterMonitor::Finish(int64_t start_ns, RegattaInfo& info) {
  watch_.Stop();
  average_.Fill(info);
  return timeline_.Take(start_ns);
}

}  // namespace regatta
