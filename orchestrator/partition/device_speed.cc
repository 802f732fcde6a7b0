// The table of devices; see device_speed.h.
#include "orchestrator/partition/device_speed.h"

#include <algorithm>

#include "absl/strings/match.h"

namespace regatta {
namespace {

// Longer names first: they hold the shorter ones.
const DeviceSpeed kDevices[] = {
    {"H100 NVL", 3900, 835, 1671, 300, 4, 150}, {"H100 PCIe", 2000, 756, 1513, 300, 4, 150},
    {"H100", 3350, 989, 1979, 450, 4, 150},     {"H200", 4800, 989, 1979, 450, 4, 150},
    {"B200", 8000, 2250, 4500, 900, 4, 150},    {"A100", 2039, 312, 312, 300, 5, 150},
    {"L40S", 864, 362, 733, 32, 10, 150},
};

constexpr char kCpuRanks[] = "CPU ranks";

DeviceSpeed CpuRank(uint32_t ranks) {
  const double share = 1.0 / std::max(1u, ranks);
  const double gflop_s = 100 * share;
  return {kCpuRanks, 20 * share, gflop_s / 1e3, gflop_s / 1e3, 5 * share, 50, 100};
}

}  // namespace

DeviceSpeed DeviceSpeedOf(absl::string_view device_name, uint32_t ranks) {
  if (device_name == kCpuRanks) return CpuRank(ranks);
  for (const DeviceSpeed& device : kDevices) {
    if (absl::StrContains(device_name, device.name)) return device;
  }
  DeviceSpeed unknown = kDevices[2];
  unknown.known = false;
  return unknown;
}

}  // namespace regatta
