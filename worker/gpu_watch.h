// GpuWatch: what the GPU of this process is and, twice a second, what it says; through NVML, on a
// thread of its own that no step waits for. Reads only.
#pragma once

#include <optional>
#include <string>
#include <thread>

#include "absl/synchronization/notification.h"
#include "common/gpu/newest_reading.h"
#include "common/gpu/nvml.h"
#include "proto/worker.pb.h"
#include "worker/device.h"

namespace regatta {

class GpuWatch {
 public:
  // `library` is kNvmlLibrary, a fake in tests. Without a GPU there is nothing to tell; where the
  // library does not load, answer or know the GPU, there are no readings.
  GpuWatch(const std::string& library, const GpuIdentity& gpu);
  ~GpuWatch();

  // Sets gpu and gpu_software, as they were found at the start.
  void Describe(WorkerDescription& description) const { description.MergeFrom(description_); }
  // Never waits for the driver.
  std::optional<GpuReading> Newest() const { return newest_.Get(); }

 private:
  void Watch();

  Nvml nvml_;
  NvmlDevice device_ = nullptr;
  WorkerDescription description_;  // the part that is told here
  NewestReading newest_;
  absl::Notification stopping_;
  std::thread thread_;
};

}  // namespace regatta
