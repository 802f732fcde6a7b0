// Energy, power, clocks and slowdowns of this host's GPUs during a load point, through NVML. Reads
// only.
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
#include "proto/results.pb.h"

namespace regatta {

// What successive readings of one GPU come to. Pure.
class GpuReadings {
 public:
  // `energy_mj` is the counter since the driver was loaded, where the GPU has one.
  void Add(int64_t time_ns, std::optional<uint64_t> energy_mj, std::optional<unsigned> power_mw,
           std::optional<unsigned> sm_clock_mhz, std::optional<unsigned> temperature_c,
           uint64_t slowdown_reasons);
  // Joules are the counter's difference; without a counter the power, integrated by trapezoids.
  // Clocks are of the samples in which the GPU was not idle. False without a counter.
  bool Fill(GpuEnergy& gpu) const;
  // Between first and last reading.
  double seconds() const;

 private:
  int64_t first_ns_ = 0, last_ns_ = 0;
  std::optional<uint64_t> first_mj_, last_mj_;
  double last_power_w_ = 0, integrated_j_ = 0, max_power_w_ = 0;
  double clock_sum_ = 0, min_clock_ = 0, max_temperature_ = 0;
  uint32_t samples_ = 0, clock_samples_ = 0, slowed_ = 0;
  uint64_t reasons_ = 0;
};

// Reads from construction to Finish (or destruction), twice a second and at both ends: energy needs
// the ends alone, and reading more often would disturb the driver.
class GpuMeter {
 public:
  // `inventory` says which GPUs there are and which have ranks; empty ones, and a `library` that
  // does not load or answer, leave the figures out.
  GpuMeter(const std::string& library, const GpuInventory& inventory);
  ~GpuMeter();

  // Fills seconds, energy_counters and gpus of info.energy.
  void Finish(RegattaInfo& info);

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
