// What NVML says of a GPU at a moment. Reads only.
#pragma once

#include "common/gpu/nvml.h"
#include "proto/gpu.pb.h"

namespace regatta {

// Of an initialised `nvml`. Takes milliseconds at times: the driver may be busy.
GpuReading ReadGpu(const Nvml& nvml, NvmlDevice device);

}  // namespace regatta
