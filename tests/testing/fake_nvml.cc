// A stand-in for libnvidia-ml.so.1 that tests load in its place: two GPUs, the second of which
// tells little. The environment's REGATTA_FAKE_NVML is the code that nvmlInit_v2 returns.
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "common/gpu/nvml.h"

namespace {

using regatta::NvmlDevice;

constexpr int kNotSupported = 3;
int gpus[2];

int IndexOf(NvmlDevice device) { return static_cast<int>(static_cast<int*>(device) - gpus); }

int Tell(NvmlDevice device, unsigned value, unsigned* out) {
  if (IndexOf(device) != 0) return kNotSupported;
  *out = value;
  return regatta::kNvmlSuccess;
}

}  // namespace

extern "C" {

int nvmlInit_v2() {
  const char* code = std::getenv("REGATTA_FAKE_NVML");
  return code == nullptr ? regatta::kNvmlSuccess : std::atoi(code);
}
int nvmlShutdown() { return 0; }
const char* nvmlErrorString(int code) {
  return code == regatta::kNvmlDriverNotLoaded ? "Driver Not Loaded" : "Version Mismatch";
}
int nvmlSystemGetDriverVersion(char* text, unsigned size) {
  std::snprintf(text, size, "580.65.06");
  return 0;
}
int nvmlSystemGetCudaDriverVersion_v2(int* version) {
  *version = 13000;
  return 0;
}
int nvmlDeviceGetCount_v2(unsigned* count) {
  *count = 2;
  return 0;
}
int nvmlDeviceGetHandleByIndex_v2(unsigned index, NvmlDevice* device) {
  *device = &gpus[index];
  return 0;
}
int nvmlDeviceGetHandleByPciBusId_v2(const char* id, NvmlDevice* device) {
  for (int i = 0; i < 2; ++i) {
    const char known[] = {'0', '0', '0', '0', ':', static_cast<char>('a' + i), 'b', ':', 0};
    if (std::strncmp(id, known, sizeof(known) - 1) != 0) continue;
    *device = &gpus[i];
    return 0;
  }
  return 6;  // not found
}
int nvmlDeviceGetUUID(NvmlDevice device, char* text, unsigned size) {
  if (IndexOf(device) != 0) return kNotSupported;
  std::snprintf(text, size, "GPU-00000000-0000-0000-0000-000000000000");
  return 0;
}
int nvmlDeviceGetName(NvmlDevice device, char* text, unsigned size) {
  std::snprintf(text, size, "Fake GPU %d", IndexOf(device));
  return 0;
}
int nvmlDeviceGetCudaComputeCapability(NvmlDevice, int* major, int* minor) {
  *major = 9;
  *minor = 0;
  return 0;
}
int nvmlDeviceGetPciInfo_v3(NvmlDevice device, regatta::NvmlPci* pci) {
  std::snprintf(pci->id, sizeof(pci->id), "00000000:%cB:00.0", 'A' + IndexOf(device));
  return 0;
}
int nvmlDeviceGetMemoryInfo_v2(NvmlDevice device, regatta::NvmlMemoryV2* memory) {
  if (IndexOf(device) != 0 || memory->version != (sizeof(*memory) | 2u << 24)) return kNotSupported;
  memory->total = 80ull << 30;
  memory->used = 5ull << 20;
  return 0;
}
int nvmlDeviceGetMemoryInfo(NvmlDevice, regatta::NvmlMemoryV1* memory) {
  memory->total = 40ull << 30;
  memory->used = 7ull << 20;
  return 0;
}
int nvmlDeviceGetEccMode(NvmlDevice device, int* current, int* pending) {
  *current = 1;
  *pending = 1;
  return IndexOf(device) == 0 ? 0 : kNotSupported;
}
int nvmlDeviceGetTotalEccErrors(NvmlDevice, int type, int counter, unsigned long long* count) {
  *count = 10 * type + counter;
  return 0;
}
int nvmlDeviceGetRemappedRows(NvmlDevice, unsigned*, unsigned*, unsigned* pending, unsigned* fail) {
  *pending = 1;
  *fail = 0;
  return 0;
}
int nvmlDeviceGetEnforcedPowerLimit(NvmlDevice device, unsigned* out) {
  return Tell(device, 500'000, out);
}
int nvmlDeviceGetPowerManagementDefaultLimit(NvmlDevice device, unsigned* out) {
  return Tell(device, 700'000, out);
}
int nvmlDeviceGetPowerManagementLimitConstraints(NvmlDevice, unsigned* least, unsigned* most) {
  *least = 200'000;
  *most = 750'000;
  return 0;
}
int nvmlDeviceGetClockInfo(NvmlDevice device, int clock, unsigned* out) {
  return Tell(device, clock == regatta::kNvmlClockSm ? 1755 : 0, out);
}
int nvmlDeviceGetMaxClockInfo(NvmlDevice device, int clock, unsigned* out) {
  return Tell(device, clock == regatta::kNvmlClockSm ? 1980 : 2619, out);
}
int nvmlDeviceGetCurrentClocksThrottleReasons(NvmlDevice, unsigned long long* reasons) {
  *reasons = 4;
  return 0;
}
int nvmlDeviceGetTemperature(NvmlDevice device, int sensor, unsigned* out) {
  return sensor == regatta::kNvmlTemperatureGpu ? Tell(device, 61, out) : kNotSupported;
}
// A counter that grows by 2 J with every reading; the second GPU has none.
int nvmlDeviceGetTotalEnergyConsumption(NvmlDevice device, unsigned long long* millijoules) {
  if (IndexOf(device) != 0) return kNotSupported;
  static std::atomic<unsigned long long> readings = 0;
  *millijoules = 2000 * ++readings;
  return 0;
}
int nvmlDeviceGetPowerUsage(NvmlDevice device, unsigned* milliwatts) {
  *milliwatts = 300'000 + 100'000 * IndexOf(device);
  return 0;
}
int nvmlDeviceGetUtilizationRates(NvmlDevice device, regatta::NvmlUtilization* rates) {
  if (IndexOf(device) != 0) return kNotSupported;
  *rates = {87, 12};
  return 0;
}
int nvmlDeviceGetMigMode(NvmlDevice device, unsigned* current, unsigned* pending) {
  *current = IndexOf(device);
  *pending = 0;
  return 0;
}
int nvmlDeviceGetPersistenceMode(NvmlDevice, int* mode) {
  *mode = 1;
  return 0;
}
int nvmlDeviceGetGpuFabricInfo(NvmlDevice, regatta::NvmlFabric* fabric) {
  std::memset(fabric, 0, sizeof(*fabric));
  fabric->state = 3;
  return 0;
}
int nvmlDeviceGetNvLinkState(NvmlDevice, unsigned link, int* active) {
  *active = link < 12;
  return link < 14 ? 0 : kNotSupported;
}
int nvmlDeviceGetComputeRunningProcesses_v3(NvmlDevice device, unsigned* count,
                                            regatta::NvmlProcess* processes) {
  *count = IndexOf(device) == 0 ? 2 : 0;
  for (unsigned i = 0; i < *count; ++i) processes[i].pid = 100 + i;
  return 0;
}
int nvmlDeviceGetP2PStatus(NvmlDevice reader, NvmlDevice, int capability, int* status) {
  *status = capability == regatta::kNvmlPeerRead && IndexOf(reader) == 0 ? 0 : 5;
  return 0;
}

}  // extern "C"
