// What successive readings of one GPU come to. Pure.
#pragma once

#include <cstdint>
#include <optional>

#include "orchestrator/statistics/thinned_series.h"
#include "proto/gpu.pb.h"
#include "proto/results.pb.h"

namespace regatta {

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

// Adds the figures of a GPU (index, name and used are set) to `energy` and, where ranks use it,
// its course to `timeline`, whose 0 ms is `start_ns`. Clears energy_counters where such a one has
// none; its first value is the caller's.
void AddGpu(GpuEnergy gpu, GpuReadings& readings, int64_t start_ns, EnergyReport& energy,
            PointTimeline& timeline);

}  // namespace regatta
