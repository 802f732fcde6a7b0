// All GPUs that NVML counts; see gpu_inventory.h.
#include "orchestrator/doctor/gpu_inventory.h"

#include "absl/strings/str_cat.h"

namespace regatta {
namespace {

std::vector<bool> PeersOf(const Nvml& nvml, NvmlDevice reader,
                          const std::vector<NvmlDevice>& owners) {
  std::vector<bool> reads;
  for (const NvmlDevice owner : owners) {
    int status = 0;
    reads.push_back(
        reader == owner ||
        (nvml.Try("DeviceGetP2PStatus", reader, owner, kNvmlPeerRead, &status) && status == 0));
  }
  return reads;
}

absl::StatusOr<GpuInventory> ReadInventory(const Nvml& nvml, const std::string& root) {
  GpuInventory inventory;
  const DriverFacts driver = ReadDriver(nvml);
  inventory.driver_version = driver.version;
  inventory.cuda_version = driver.cuda_version;
  unsigned count = 0;
  if (const int code = nvml.Call("DeviceGetCount_v2", &count); code != kNvmlSuccess) {
    return absl::UnavailableError(absl::StrCat("cannot count GPUs: ", nvml.ErrorText(code)));
  }
  std::vector<NvmlDevice> devices(count);
  for (unsigned i = 0; i < count; ++i) {
    if (const int code = nvml.Call("DeviceGetHandleByIndex_v2", i, &devices[i]);
        code != kNvmlSuccess) {
      return absl::UnavailableError(absl::StrCat("GPU ", i, ": ", nvml.ErrorText(code)));
    }
    inventory.gpus.push_back(ReadGpuFacts(nvml, devices[i], root));
  }
  for (const NvmlDevice reader : devices) {
    inventory.peer_access.push_back(PeersOf(nvml, reader, devices));
  }
  return inventory;
}

}  // namespace

absl::StatusOr<GpuInventory> ReadGpus(const std::string& library, const std::string& root) {
  Nvml nvml(library);
  if (!nvml.loaded()) return absl::NotFoundError(absl::StrCat(library, " is not on this host"));
  const int code = nvml.Init();
  if (code == kNvmlDriverNotLoaded) {
    return absl::NotFoundError(absl::StrCat(library, ": ", nvml.ErrorText(code)));
  }
  if (code != kNvmlSuccess) {
    return absl::UnavailableError(absl::StrCat(library, ": ", nvml.ErrorText(code)));
  }
  return ReadInventory(nvml, root);
}

}  // namespace regatta
