// Everything is the other device's; see unfused_device.h.
#include "tests/bench/step/unfused_device.h"

#include <utility>

#include "common/status_macros.h"
#ifdef REGATTA_CUDA
#include "kernels/cuda/cuda_ops.h"
#endif

namespace regatta {
namespace {

class UnfusedDevice final : public Device {
 public:
  explicit UnfusedDevice(std::unique_ptr<Device> device) : device_(std::move(device)) {}

  std::string kind() const override { return device_->kind(); }
  std::string name() const override { return device_->name(); }
  uint64_t memory_bytes() const override { return device_->memory_bytes(); }
  int num_threads() const override { return device_->num_threads(); }
  absl::StatusOr<std::unique_ptr<Ops>> MakeOps() override {
    ASSIGN_OR_RETURN(std::unique_ptr<Ops> ops, device_->MakeOps());
#ifdef REGATTA_CUDA
    if (kind() == "cuda") UseFusedNorms(*ops, false);
#endif
    return ops;
  }
  absl::Status Probe() override { return device_->Probe(); }
  uint64_t FreeMemory(Ops& ops, int world_size) override {
    return device_->FreeMemory(ops, world_size);
  }
  absl::StatusOr<std::unique_ptr<GroupOffer>> Offer(int world_size) override {
    return device_->Offer(world_size);
  }
  absl::StatusOr<std::shared_ptr<RankGroup>> Join(const std::string& id, int rank, int world_size,
                                                  absl::Duration timeout,
                                                  const std::atomic<bool>* stop,
                                                  Ops& ops) override {
    return device_->Join(id, rank, world_size, timeout, stop, ops);
  }

 private:
  const std::unique_ptr<Device> device_;
};

}  // namespace

std::unique_ptr<Device> WithoutFusedNorms(std::unique_ptr<Device> device) {
  return std::make_unique<UnfusedDevice>(std::move(device));
}

}  // namespace regatta
