// Energy, power, clocks, temperature, use and slowdowns of this host's GPUs during a load point,
// through NVML. Reads only.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "common/gpu/nvml.h"
#include "orchestrator/doctor/gpu_inventory.h"
#include "orchestrator/doctor/gpu_readings.h"
#include "proto/results.pb.h"

namespace regatta {

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
