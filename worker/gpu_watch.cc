// See gpu_watch.h.
#include "worker/gpu_watch.h"

#include "absl/time/time.h"
#include "common/gpu/gpu_facts.h"
#include "common/gpu/gpu_reading.h"

namespace regatta {
namespace {

// Reading more often would disturb the driver.
constexpr absl::Duration kReadEvery = absl::Milliseconds(500);

}  // namespace

GpuWatch::GpuWatch(const std::string& library, const GpuIdentity& gpu) : nvml_(library) {
  if (gpu.pci_id.empty()) return;
  GpuSoftware& software = *description_.mutable_gpu_software();
  software.set_cuda(gpu.cuda_version);
  software.set_nccl(gpu.nccl_version);
  if (!nvml_.loaded() || nvml_.Init() != kNvmlSuccess) return;
  const DriverFacts driver = ReadDriver(nvml_);
  software.set_driver(driver.version);
  software.set_driver_cuda(driver.cuda_version);
  if (!nvml_.Try("DeviceGetHandleByPciBusId_v2", gpu.pci_id.c_str(), &device_)) return;
  *description_.mutable_gpu() = DescribeGpu(ReadGpuFacts(nvml_, device_, ""));
  thread_ = std::thread([this] { Watch(); });
}

GpuWatch::~GpuWatch() {
  stopping_.Notify();
  if (thread_.joinable()) thread_.join();
}

void GpuWatch::Watch() {
  do {
    newest_.Set(ReadGpu(nvml_, device_));
  } while (!stopping_.WaitForNotificationWithTimeout(kReadEvery));
}

}  // namespace regatta
