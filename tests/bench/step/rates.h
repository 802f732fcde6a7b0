// What a device can do at best, measured before a benchmark on it.
#pragma once

#include "kernels/ops.h"

namespace regatta {

// Per second; 0 = not measured.
struct DeviceRates {
  double read_bytes = 0;       // sum over a buffer larger than its caches
  double copy_bytes = 0;       // read and written, both counted
  double bf16_operations = 0;  // of a large product; float32 on CPUs
  double fp8_operations = 0;
};

// Of the device that `ops` runs on; takes about a second. CHECK-fails without memory for it.
DeviceRates MeasureRates(Ops& ops);

// Of a GPU by number, in builds with CUDA (tests/gpu/device_rates.cu).
DeviceRates MeasureGpuRates(int device);

}  // namespace regatta
