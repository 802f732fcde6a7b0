// Workers' versions side by side; see gpu_software.h.
#include "orchestrator/cluster/gpu_software.h"

#include <set>

#include "absl/strings/str_join.h"
#include "orchestrator/doctor/library_facts.h"

namespace regatta {
namespace {

template <typename TextOf>
std::string Told(const ClusterDescription& cluster, TextOf text_of) {
  std::set<std::string> texts;
  for (const PoolWorker& worker : cluster.workers()) {
    texts.insert(text_of(worker.description().gpu_software()));
  }
  texts.erase("");
  return absl::StrJoin(texts, ", ");
}

}  // namespace

GpuSoftwareText GpuSoftwareOf(const ClusterDescription& cluster) {
  using Software = const GpuSoftware&;
  return {Told(cluster, [](Software s) { return s.driver(); }),
          Told(cluster, [](Software s) { return CudaVersionText(s.driver_cuda()); }),
          Told(cluster, [](Software s) { return CudaVersionText(s.cuda()); }),
          Told(cluster, [](Software s) { return LibraryVersionText(s.nccl()); })};
}

}  // namespace regatta
