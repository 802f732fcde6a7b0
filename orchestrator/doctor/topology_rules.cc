// Rules of several GPUs together; see gpu_rules.h.
#include <algorithm>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "orchestrator/doctor/finding.h"
#include "orchestrator/doctor/gpu_rules.h"

namespace regatta {
namespace {

constexpr char kGpus[] = "GPUs";

HostFinding PeerAccess(const GpuInventory& inventory) {
  std::vector<std::string> missing;
  for (size_t i = 0; i < inventory.gpus.size(); ++i) {
    for (size_t j = i + 1; j < inventory.gpus.size(); ++j) {
      if (!inventory.gpus[i].used || !inventory.gpus[j].used) continue;
      const bool both = inventory.peer_access[i][j] && inventory.peer_access[j][i];
      if (!both) missing.push_back(absl::StrCat(i, "-", j));
    }
  }
  return MakeFinding(
      missing.empty() ? kOk : kWarning, kGpus, "peer access",
      missing.empty() ? "every pair" : absl::StrCat("not between ", absl::StrJoin(missing, ", ")),
      "every pair: sums between ranks read peers' memory",
      "nvidia-smi topo -p2p r  # then ACS and IOMMU off in the firmware");
}

HostFinding NvLinks(const GpuInventory& inventory) {
  std::vector<int> counts;
  for (const GpuFacts& gpu : inventory.gpus) {
    if (gpu.used) counts.push_back(gpu.active_nvlinks);
  }
  const auto [least, most] = std::minmax_element(counts.begin(), counts.end());
  const std::string down = "nvidia-smi nvlink --status";
  if (*most == 0) {
    return MakeFinding(kWarning, kGpus, "NVLink", "none", "ranks sum over PCIe without it",
                       "nvidia-smi topo -m  # to choose GPUs that share a switch");
  }
  const bool equal = *least == *most;
  return MakeFinding(equal ? kOk : kProblem, kGpus, "NVLink",
                     equal ? absl::StrCat(*most, " links each")
                           : absl::StrCat(absl::StrJoin(counts, ", "), " links by GPU"),
                     "as many on every GPU", down);
}

void Fabric(const GpuInventory& inventory, GpuFindingList& list) {
  constexpr unsigned kNone = 0, kComplete = 3;
  for (size_t gpu = 0; gpu < inventory.gpus.size(); ++gpu) {
    const std::optional<unsigned> state = inventory.gpus[gpu].fabric_state;
    if (!state.has_value() || *state == kNone) continue;
    const bool ready = *state == kComplete;
    list.Add(static_cast<int>(gpu), ready ? kOk : kProblem, "NVSwitch fabric",
             ready ? "registered" : "not registered", "registered, else CUDA does not start",
             "sudo systemctl restart nvidia-fabricmanager");
  }
}

// A GPU's threads should run on the CPUs next to it.
void NearCpus(const GpuInventory& inventory, const HostFacts& host, GpuFindingList& list) {
  if (host.numa_nodes.size() < 2) return;
  for (size_t gpu = 0; gpu < inventory.gpus.size(); ++gpu) {
    const std::optional<int> node = inventory.gpus[gpu].numa_node;
    if (!node.has_value() || host.numa_nodes.count(*node) == 0) continue;
    const std::vector<int>& near = host.numa_nodes.at(*node);
    const bool reachable = std::find_first_of(near.begin(), near.end(), host.cpus.begin(),
                                              host.cpus.end()) != near.end();
    list.Add(static_cast<int>(gpu), reachable ? kOk : kWarning, "NUMA node",
             absl::StrCat(*node, reachable ? "" : ", none of its CPUs is allowed here"),
             "CPUs of the same node",
             absl::StrCat("numactl --cpunodebind=", *node, " regatta ..."));
  }
}

}  // namespace

std::vector<HostFinding> TopologyFindings(const GpuInventory& inventory, const HostFacts& host) {
  GpuFindingList list(inventory.used());
  Fabric(inventory, list);
  NearCpus(inventory, host, list);
  std::vector<HostFinding> findings = list.Take();
  if (inventory.num_used() < 2) return findings;
  findings.push_back(PeerAccess(inventory));
  findings.push_back(NvLinks(inventory));
  return findings;
}

}  // namespace regatta
