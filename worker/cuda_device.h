// One NVIDIA GPU; its ranks speak over NCCL.
#pragma once

#include <memory>

#include "absl/status/statusor.h"
#include "worker/device.h"

namespace regatta {

// 0 without a driver.
int NumCudaDevices();
// UNAVAILABLE says why the device cannot be opened.
absl::StatusOr<std::unique_ptr<Device>> OpenCudaDevice(int index, int num_threads);

}  // namespace regatta
