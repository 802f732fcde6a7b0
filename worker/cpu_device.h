// CPU ranks: processes of one host with shared memory between them.
#pragma once

#include <memory>

#include "worker/device.h"

namespace regatta {

std::unique_ptr<Device> MakeCpuDevice(int num_threads);

}  // namespace regatta
