// Facts through rules; see doctor.h.
#include "orchestrator/doctor/doctor.h"

#include <cstdlib>
#include <iterator>
#include <optional>
#include <string>
#include <utility>

#include "orchestrator/doctor/finding.h"
#include "orchestrator/doctor/gpu_rules.h"
#include "orchestrator/doctor/host_rules.h"

namespace regatta {
namespace {

void Append(std::vector<HostFinding> more, std::vector<HostFinding>& findings) {
  findings.insert(findings.end(), std::make_move_iterator(more.begin()),
                  std::make_move_iterator(more.end()));
}

// Why there are no GPUs: none is a fact, a driver that does not answer a problem.
HostFinding NoGpus(const absl::Status& status) {
  const std::string why(status.message());
  if (absl::IsNotFound(status)) {
    return MakeFinding(kWarning, "driver", "NVIDIA driver", why,
                       "no NVIDIA driver: ranks run on CPUs",
                       "docker run --gpus all ..., or install the driver (nvidia.com/drivers)");
  }
  return MakeFinding(kProblem, "driver", "NVIDIA driver", why, "answers",
                     "nvidia-smi; sudo dmesg | grep -i nvrm");
}

}  // namespace

DoctorFacts ReadDoctorFacts(uint32_t ranks) {
  DoctorFacts facts;
  facts.host = ReadHostFacts("");
  facts.gpus = ReadGpus(kNvmlLibrary, "");
  const char* const visible = std::getenv("CUDA_VISIBLE_DEVICES");
  if (facts.gpus.ok()) {
    MarkUsedGpus(visible == nullptr ? std::nullopt : std::optional<std::string>(visible), ranks,
                 *facts.gpus);
  }
  facts.build = ReadBuild();
  return facts;
}

std::vector<HostFinding> Diagnose(const DoctorFacts& facts) {
  std::vector<HostFinding> findings;
  int num_gpus = 0;
  if (facts.gpus.ok()) {
    num_gpus = facts.gpus->num_used();
    Append(BuildFindings(facts.build, *facts.gpus), findings);
    Append(GpuFindings(*facts.gpus), findings);
    Append(TopologyFindings(*facts.gpus, facts.host), findings);
  } else {
    findings.push_back(NoGpus(facts.gpus.status()));
  }
  Append(HostFindings(facts.host, num_gpus), findings);
  return findings;
}

}  // namespace regatta
