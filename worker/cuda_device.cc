// A GPU as a device; see cuda_device.h.
#include "worker/cuda_device.h"

#include <cuda_runtime.h>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "kernels/cuda/cuda_ops.h"
#include "worker/collectives/nccl_group.h"

namespace regatta {
namespace {

class CudaDevice final : public Device {
 public:
  CudaDevice(int index, int num_threads, const cudaDeviceProp& properties)
      : index_(index), num_threads_(num_threads), properties_(properties) {}

  std::string kind() const override { return "cuda"; }
  std::string name() const override { return properties_.name; }
  uint64_t memory_bytes() const override { return properties_.totalGlobalMem; }
  int num_threads() const override { return num_threads_; }
  GpuIdentity gpu() const override {
    GpuIdentity gpu;
    char id[32] = "";
    cudaDeviceGetPCIBusId(id, sizeof(id), index_);
    gpu.pci_id = absl::AsciiStrToLower(id);
    cudaRuntimeGetVersion(&gpu.cuda_version);
    gpu.nccl_version = NcclVersion();
    return gpu;
  }

  absl::StatusOr<std::unique_ptr<Ops>> MakeOps() override {
    std::string error;
    std::unique_ptr<Ops> ops = MakeCudaOps(index_, &error);
    if (ops == nullptr) return absl::UnavailableError(error);
    return ops;
  }
  absl::Status Probe() override {
    cudaError_t status = cudaSetDevice(index_);
    if (status == cudaSuccess) status = cudaFree(nullptr);
    if (status == cudaSuccess) return absl::OkStatus();
    return absl::UnavailableError(
        absl::StrCat("cuda:", index_, " is lost: ", cudaGetErrorString(status)));
  }
  uint64_t FreeMemory(Ops& ops, int) override { return ops.FreeDeviceMemory(); }

  absl::StatusOr<std::unique_ptr<GroupOffer>> Offer(int world_size) override {
    return OfferNcclGroup(world_size);
  }
  absl::StatusOr<std::shared_ptr<RankGroup>> Join(const std::string& id, int rank, int world_size,
                                                  absl::Duration timeout,
                                                  const std::atomic<bool>* stop,
                                                  Ops& ops) override {
    return JoinNcclGroup(id, rank, world_size, timeout, stop, ops);
  }

 private:
  const int index_;
  const int num_threads_;
  const cudaDeviceProp properties_;
};

}  // namespace

int NumCudaDevices() {
  int count = 0;
  return cudaGetDeviceCount(&count) == cudaSuccess ? count : 0;
}

absl::StatusOr<std::unique_ptr<Device>> OpenCudaDevice(int index, int num_threads) {
  cudaDeviceProp properties{};
  if (const cudaError_t status = cudaGetDeviceProperties(&properties, index);
      status != cudaSuccess) {
    return absl::UnavailableError(absl::StrCat("cuda:", index, ": ", cudaGetErrorString(status)));
  }
  return std::make_unique<CudaDevice>(index, num_threads, properties);
}

}  // namespace regatta
