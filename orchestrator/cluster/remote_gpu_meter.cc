// See remote_gpu_meter.h.
#include "orchestrator/cluster/remote_gpu_meter.h"

#include <algorithm>
#include <set>
#include <string>
#include <utility>

#include "absl/time/time.h"
#include "common/clock.h"
#include "orchestrator/doctor/gpu_readings.h"

namespace regatta {
namespace {

constexpr uint32_t kStatesEveryMs = 100;
constexpr absl::Duration kAwaitReadings = absl::Seconds(2);

// `like`, at `time_ns` between `before` and `after`.
GpuReading ReadingAt(int64_t time_ns, const GpuReading& before, const GpuReading& after,
                     GpuReading like) {
  like.set_time_ns(time_ns);
  like.clear_energy_mj();
  if (!before.has_energy_mj() || !after.has_energy_mj()) return like;
  const double part = 1.0 * (time_ns - before.time_ns()) / (after.time_ns() - before.time_ns());
  const double grown = 1.0 * after.energy_mj() - before.energy_mj();
  like.set_energy_mj(before.energy_mj() + static_cast<uint64_t>(part * std::max(0.0, grown)));
  return like;
}

}  // namespace

void RemoteReadings::Add(const GpuReading& reading, int64_t received_ns) {
  // A worker on a host that was started anew has another clock.
  if (!readings_.empty() && reading.time_ns() < readings_.back().time_ns()) *this = {};
  delay_ns_ = std::min(delay_ns_, received_ns - reading.age_ns() - reading.time_ns());
  if (readings_.empty() || reading.time_ns() > readings_.back().time_ns()) {
    readings_.push_back(reading);
  }
}

std::vector<GpuReading> RemoteReadings::Between(int64_t start_ns, int64_t end_ns) const {
  std::vector<GpuReading> here = readings_;
  for (GpuReading& reading : here) reading.set_time_ns(reading.time_ns() + delay_ns_);
  std::vector<GpuReading> load;
  for (size_t i = 0; i < here.size(); ++i) {
    const GpuReading& before = here[i == 0 ? 0 : i - 1];
    const GpuReading& now = here[i];
    const auto crosses = [&](int64_t ns) { return before.time_ns() < ns && now.time_ns() > ns; };
    if (crosses(start_ns)) load.push_back(ReadingAt(start_ns, before, now, now));
    if (crosses(end_ns)) load.push_back(ReadingAt(end_ns, before, now, before));
    if (now.time_ns() >= start_ns && now.time_ns() <= end_ns) load.push_back(now);
  }
  return load;
}

RemoteGpuMeter::RemoteGpuMeter(const std::shared_ptr<grpc::Channel>& channel)
    : watch_(channel, kStatesEveryMs, [this](const ClusterState& state) { Add(state); }) {}

void RemoteGpuMeter::Add(const ClusterState& state) {
  const int64_t now_ns = RealClock().NowNs();
  absl::MutexLock lock(&mutex_);
  for (const WorkerReading& gpu : state.gpus()) gpus_[gpu.worker()].Add(gpu.reading(), now_ns);
}

void RemoteGpuMeter::Finish(const ClusterDescription& cluster, int64_t start_ns, RegattaInfo& info,
                            PointTimeline& timeline) {
  const int64_t end_ns = RealClock().NowNs();
  absl::MutexLock lock(&mutex_);
  const auto read_after = [this, end_ns]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return std::all_of(gpus_.begin(), gpus_.end(),
                       [&](const auto& gpu) { return gpu.second.newest_ns() >= end_ns; });
  };
  mutex_.AwaitWithTimeout(absl::Condition(&read_after), kAwaitReadings);
  std::set<std::string> known;  // ranks that share a GPU count it once
  for (const auto& [worker, remote] : gpus_) {
    const std::vector<GpuReading> load = remote.Between(start_ns, end_ns);
    if (load.size() < 2 || static_cast<int>(worker) >= cluster.workers_size()) continue;
    const WorkerDescription& device = cluster.workers(worker).description();
    const std::string& uuid = device.gpu().uuid();
    if (!uuid.empty() && !known.insert(uuid).second) continue;
    GpuReadings readings;
    for (const GpuReading& reading : load) readings.Add(reading);
    GpuEnergy gpu;
    gpu.set_index(worker);
    gpu.set_name(device.has_gpu() ? device.gpu().name() : device.device_name());
    gpu.set_used(true);
    if (!info.has_energy()) info.mutable_energy()->set_energy_counters(true);
    AddGpu(std::move(gpu), readings, start_ns, *info.mutable_energy(), timeline);
  }
}

}  // namespace regatta
