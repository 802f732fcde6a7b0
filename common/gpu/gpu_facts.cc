// NVML's answers to plain fields; see gpu_facts.h.
#include "common/gpu/gpu_facts.h"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"

namespace regatta {
namespace {

// Whom Call may ask about one GPU: answers in the types that NVML writes.
class Device {
 public:
  Device(const Nvml& nvml, NvmlDevice device) : nvml_(nvml), device_(device) {}

  // nvmlDevice<name>(device, arguments..., &value); empty when it does not tell.
  template <typename T, typename... Args>
  std::optional<T> Get(const char* name, Args... args) const {
    T value = {};
    const std::string full = absl::StrCat("Device", name);
    if (!nvml_.Try(full.c_str(), device_, args..., &value)) return std::nullopt;
    return value;
  }
  template <typename... Args>
  bool Try(const char* name, Args... args) const {
    return nvml_.Try(absl::StrCat("Device", name).c_str(), device_, args...);
  }

 private:
  const Nvml& nvml_;
  const NvmlDevice device_;
};

std::optional<bool> Switch(std::optional<int> enabled) {
  if (!enabled.has_value()) return std::nullopt;
  return *enabled != 0;
}

std::optional<uint64_t> Wide(std::optional<unsigned long long> value) { return value; }

void ReadIdentity(const Device& device, const std::string& root, GpuFacts& facts) {
  char name[96] = "";
  if (device.Try("GetName", static_cast<char*>(name), unsigned{sizeof(name)})) facts.name = name;
  char uuid[96] = "";
  if (device.Try("GetUUID", static_cast<char*>(uuid), unsigned{sizeof(uuid)})) facts.uuid = uuid;
  int major = 0, minor = 0;
  if (device.Try("GetCudaComputeCapability", &major, &minor)) {
    facts.compute_capability = 10 * major + minor;
  }
  if (const auto pci = device.Get<NvmlPci>("GetPciInfo_v3")) {
    // NVML writes eight digits of domain, the kernel four, and in lower case.
    const std::string id = absl::AsciiStrToLower(pci->id);
    facts.pci_id = id.substr(std::min<size_t>(4, id.size()));
  }
  std::ifstream file(absl::StrCat(root, "/sys/bus/pci/devices/", facts.pci_id, "/numa_node"));
  int node = -1;
  if (file >> node && node >= 0) facts.numa_node = node;
}

void ReadMemory(const Device& device, GpuFacts& facts) {
  NvmlMemoryV2 memory = {};
  if (device.Try("GetMemoryInfo_v2", &memory)) {
    facts.memory_bytes = memory.total;
    facts.memory_used = memory.used;
  } else if (const auto old = device.Get<NvmlMemoryV1>("GetMemoryInfo")) {
    facts.memory_bytes = old->total;
    facts.memory_used = old->used;
  }
  facts.ecc = std::nullopt;
  int current = 0, pending = 0;
  if (device.Try("GetEccMode", &current, &pending)) facts.ecc = current != 0;
  facts.uncorrected_errors =
      Wide(device.Get<unsigned long long>("GetTotalEccErrors", kNvmlUncorrected, kNvmlVolatile));
  unsigned corrected = 0, uncorrected = 0, remap_pending = 0, failed = 0;
  if (device.Try("GetRemappedRows", &corrected, &uncorrected, &remap_pending, &failed)) {
    facts.remap_pending = remap_pending != 0;
    facts.remap_failed = failed != 0;
  }
}

void ReadPowerAndClocks(const Device& device, GpuFacts& facts) {
  facts.power_limit_mw = device.Get<unsigned>("GetEnforcedPowerLimit");
  facts.power_default_mw = device.Get<unsigned>("GetPowerManagementDefaultLimit");
  unsigned least = 0, most = 0;
  if (device.Try("GetPowerManagementLimitConstraints", &least, &most)) facts.power_max_mw = most;
  facts.sm_clock_mhz = device.Get<unsigned>("GetClockInfo", kNvmlClockSm);
  facts.sm_clock_max_mhz = device.Get<unsigned>("GetMaxClockInfo", kNvmlClockSm);
  facts.memory_clock_max_mhz = device.Get<unsigned>("GetMaxClockInfo", kNvmlClockMemory);
  facts.application_clock_mhz = device.Get<unsigned>("GetApplicationsClock", kNvmlClockSm);
  facts.application_clock_default_mhz =
      device.Get<unsigned>("GetDefaultApplicationsClock", kNvmlClockSm);
  facts.slowdown_reasons = Wide(device.Get<unsigned long long>("GetCurrentClocksThrottleReasons"));
  facts.temperature_c = device.Get<unsigned>("GetTemperature", kNvmlTemperatureGpu);
}

void ReadModes(const Device& device, GpuFacts& facts) {
  unsigned mig = 0, pending = 0;
  if (device.Try("GetMigMode", &mig, &pending)) facts.mig = mig != 0;
  facts.persistence = Switch(device.Get<int>("GetPersistenceMode"));
  facts.compute_mode = device.Get<unsigned>("GetComputeMode");
  if (const auto fabric = device.Get<NvmlFabric>("GetGpuFabricInfo")) {
    facts.fabric_state = fabric->state;
  }
  for (unsigned link = 0; link < kNvmlMaxLinks; ++link) {
    facts.active_nvlinks += device.Get<int>("GetNvLinkState", link).value_or(0) != 0;
  }
}

void ReadProcesses(const Device& device, GpuFacts& facts) {
  constexpr unsigned kMost = 256;
  std::vector<NvmlProcess> processes(kMost);
  unsigned count = kMost;
  if (!device.Try("GetComputeRunningProcesses_v3", &count, processes.data())) return;
  for (unsigned i = 0; i < std::min(count, kMost); ++i) {
    facts.processes.push_back(processes[i].pid);
  }
}

}  // namespace

DriverFacts ReadDriver(const Nvml& nvml) {
  DriverFacts driver;
  char version[80] = "";
  if (nvml.Try("SystemGetDriverVersion", static_cast<char*>(version), unsigned{sizeof(version)})) {
    driver.version = version;
  }
  nvml.Try("SystemGetCudaDriverVersion_v2", &driver.cuda_version);
  return driver;
}

GpuFacts ReadGpuFacts(const Nvml& nvml, NvmlDevice handle, const std::string& root) {
  const Device device(nvml, handle);
  GpuFacts facts;
  ReadIdentity(device, root, facts);
  ReadMemory(device, facts);
  ReadPowerAndClocks(device, facts);
  ReadModes(device, facts);
  ReadProcesses(device, facts);
  return facts;
}

GpuDescription DescribeGpu(const GpuFacts& facts) {
  GpuDescription gpu;
  gpu.set_name(facts.name);
  gpu.set_used(facts.used);
  gpu.set_pci_id(facts.pci_id);
  gpu.set_uuid(facts.uuid);
  gpu.set_memory_gb(facts.memory_bytes / std::exp2(30));
  gpu.set_power_limit_w(facts.power_limit_mw.value_or(0) / 1e3);
  gpu.set_default_power_limit_w(facts.power_default_mw.value_or(0) / 1e3);
  gpu.set_max_sm_clock_mhz(facts.sm_clock_max_mhz.value_or(0));
  gpu.set_max_memory_clock_mhz(facts.memory_clock_max_mhz.value_or(0));
  gpu.set_application_sm_clock_mhz(facts.application_clock_mhz.value_or(0));
  gpu.set_nvlinks(facts.active_nvlinks);
  if (facts.numa_node.has_value()) gpu.set_numa_node(*facts.numa_node);
  if (facts.ecc.has_value()) gpu.set_ecc(*facts.ecc);
  if (facts.mig.has_value()) gpu.set_mig(*facts.mig);
  return gpu;
}

}  // namespace regatta
