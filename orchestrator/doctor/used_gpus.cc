// Which GPUs ranks run on; see gpu_inventory.h.
#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "orchestrator/doctor/gpu_inventory.h"

namespace regatta {
namespace {

// The GPU that an entry of CUDA_VISIBLE_DEVICES names; null when there is none.
GpuFacts* Named(absl::string_view name, std::vector<GpuFacts>& gpus) {
  int index = -1;
  if (absl::SimpleAtoi(name, &index)) {
    return index >= 0 && index < static_cast<int>(gpus.size()) ? &gpus[index] : nullptr;
  }
  const auto found = std::find_if(gpus.begin(), gpus.end(), [name](const GpuFacts& gpu) {
    return !name.empty() && absl::StartsWith(gpu.uuid, name);
  });
  return found == gpus.end() ? nullptr : &*found;
}

}  // namespace

std::vector<bool> GpuInventory::used() const {
  std::vector<bool> used;
  for (const GpuFacts& gpu : gpus) used.push_back(gpu.used);
  return used;
}

int GpuInventory::num_used() const {
  return static_cast<int>(
      std::count_if(gpus.begin(), gpus.end(), [](const GpuFacts& gpu) { return gpu.used; }));
}

void MarkUsedGpus(const std::optional<std::string>& visible, uint32_t ranks,
                  GpuInventory& inventory) {
  std::vector<GpuFacts*> shown;
  if (visible.has_value()) {
    for (const absl::string_view name : absl::StrSplit(*visible, ',')) {
      GpuFacts* gpu = Named(absl::StripAsciiWhitespace(name), inventory.gpus);
      if (gpu == nullptr) break;
      shown.push_back(gpu);
    }
  } else {
    for (GpuFacts& gpu : inventory.gpus) shown.push_back(&gpu);
  }
  if (ranks > 0 && ranks < shown.size()) shown.resize(ranks);
  for (GpuFacts& gpu : inventory.gpus) gpu.used = false;
  for (GpuFacts* gpu : shown) gpu->used = true;
}

}  // namespace regatta
