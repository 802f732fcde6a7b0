// The host as a device; see cpu_device.h.
#include "worker/cpu_device.h"

#include <fstream>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/status_macros.h"
#include "worker/collectives/shared_memory_group.h"
#include "worker/host_memory.h"

namespace regatta {
namespace {

std::string CpuName() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    const std::pair<std::string, std::string> field = absl::StrSplit(line, absl::MaxSplits(':', 1));
    if (absl::StartsWith(field.first, "model name")) {
      return std::string(absl::StripAsciiWhitespace(field.second));
    }
  }
  return "CPU";
}

class CpuDevice final : public Device {
 public:
  explicit CpuDevice(int num_threads) : num_threads_(num_threads), name_(CpuName()) {}

  std::string kind() const override { return "cpu"; }
  std::string name() const override { return name_; }
  uint64_t memory_bytes() const override { return AvailableHostMemory(); }
  int num_threads() const override { return num_threads_; }

  absl::StatusOr<std::unique_ptr<Ops>> MakeOps() override { return MakeCpuOps(num_threads_); }
  // Ranks share this host.
  uint64_t FreeMemory(Ops&, int world_size) override { return AvailableHostMemory() / world_size; }

  absl::StatusOr<std::unique_ptr<GroupOffer>> Offer(int world_size) override {
    return SharedMemoryOffer::Create(world_size);
  }
  absl::StatusOr<std::shared_ptr<RankGroup>> Join(const std::string& id, int rank, int world_size,
                                                  absl::Duration timeout,
                                                  const std::atomic<bool>* stop, Ops&) override {
    ASSIGN_OR_RETURN(auto group, SharedMemoryGroup::Join(id, rank, timeout, stop));
    if (group->world_size() == world_size) return std::shared_ptr<RankGroup>(std::move(group));
    return absl::InvalidArgumentError(absl::StrCat(
        "the group was prepared for ", group->world_size(), " ranks, the layout has ", world_size));
  }

 private:
  const int num_threads_;
  const std::string name_;
};

}  // namespace

std::unique_ptr<Device> MakeCpuDevice(int num_threads) {
  return std::make_unique<CpuDevice>(num_threads);
}

}  // namespace regatta
