// Energy, power, clocks, temperature, use and slowdowns of this host's GPUs during a load point,
// through NVML. Reads only.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "orchestrator/doctor/gpu_facts.h"
#include "orchestrator/doctor/nvml.h"
#include "orchestrator/statistics/thinned_series.h"
#include "proto/results.pb.h"

namespace regatta {

// What a GPU says at one moment, as far as it does.
struct GpuReading {
  int64_t time_ns = 0;                // RealClock
  std::optional<uint64_t> energy_mj;  // counter since the driver was loaded
  std::optional<unsigned> power_mw, sm_clock_mhz, temperature_c, utilization_percent;
  uint64_t slowdown_reasons = 0;
};

// What successive readings of one GPU come to. Pure.
class GpuReadings {
 public:
  void Add(const GpuReading& reading);
  // Joules are the counter's difference; without a counter the power, integrated by trapezoids.
  // Clocks are of the samples in which the GPU was not idle. False without a counter.
  bool Fill(GpuEnergy& gpu) const;
  // Between first and last reading.
  double seconds() const;
  // The columns from `start_ns` on, where 0 ms is; leaves the series empty.
  void TakeCourse(int64_t start_ns, GpuTimeline& gpu);

 private:
  int64_t first_ns_ = 0, last_ns_ = 0;
  std::optional<uint64_t> first_mj_, last_mj_;
  double last_power_w_ = 0, integrated_j_ = 0, max_power_w_ = 0;
  double clock_sum_ = 0, min_clock_ = 0, max_temperature_ = 0;
  uint32_t samples_ = 0, clock_samples_ = 0, slowed_ = 0;
  uint64_t reasons_ = 0;
  ThinnedSeries<GpuReading> course_{kMaxTimelineSamples};
};

// Reads from construction to Finish (or destruction), twice a second and at both ends: reading more
// often would disturb the driver.
class GpuMeter {
 public:
  // `inventory` says which GPUs there are and which have ranks; empty ones, and a `library` that
  // does not load or answer, leave the figures out.
  GpuMeter(const std::string& library, const GpuInventory& inventory);
  ~GpuMeter();

  // Fills seconds, energy_counters and gpus of info.energy, and gpus of `timeline`, whose 0 ms is
  // the RealClock time `start_ns`.
  void Finish(int64_t start_ns, RegattaInfo& info, PointTimeline& timeline);

 private:
  void ReadAll();
  void Loop();
  void Stop();

  const std::vector<GpuFacts> gpus_;
  std::unique_ptr<Nvml> nvml_;  // null: there is nothing to read
  std::vector<NvmlDevice> devices_;
  std::vector<GpuReadings> readings_;  // of the reading thread until it is joined
  std::mutex mutex_;
  std::condition_variable changed_;
  bool stopping_ = false;
  std::thread reader_;
};

}  // namespace regatta
