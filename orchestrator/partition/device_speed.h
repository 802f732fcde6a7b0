// What devices can do at best, by name: the constants of the roofline prior.
#pragma once

#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"

namespace regatta {

// Peaks of one device, dense arithmetic.
struct DeviceSpeed {
  std::string name;
  double read_gb_s = 0;         // of its memory
  double plain_tflop_s = 0;     // 16-bit; of CPU ranks 32-bit
  double fp8_tflop_s = 0;       // what has no such arithmetic has the plain figure
  double link_gb_s = 0;         // to other devices, one direction
  double link_latency_us = 0;   // of one small message between two of them
  double step_overhead_us = 0;  // of a step besides its kernels
  bool known = true;            // false: another device's figures stand in
};

// The figures of a device whose name holds a known one ("NVIDIA H200" holds H200; "CPU ranks" of a
// host that `ranks` share). Others get H100's, not `known`. Sources: NVIDIA's data sheets of H200,
// H100 (SXM, PCIe, NVL), A100, B200 and L40S for peaks; latencies and overheads are of the order
// that docs/PERFORMANCE.md measures. CPU ranks: two channels of DDR4 and a few cores, a guess that
// says only that ranks share them.
DeviceSpeed DeviceSpeedOf(absl::string_view device_name, uint32_t ranks);

}  // namespace regatta
