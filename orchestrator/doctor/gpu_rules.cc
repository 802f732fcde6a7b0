// Rules of one GPU, a function each; see gpu_rules.h.
#include "orchestrator/doctor/gpu_rules.h"

#include <algorithm>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "orchestrator/doctor/finding.h"
#include "orchestrator/doctor/slowdown.h"

namespace regatta {
namespace {

constexpr int kLeastCapability = 80;                 // 8.0: what kernels/cuda is compiled for
constexpr uint64_t kIdleMemory = uint64_t{1} << 30;  // that a GPU nobody uses may hold
constexpr double kFullClock = 0.9;                   // of the maximum, under load

std::string Watts(unsigned milliwatts) { return absl::StrCat((milliwatts + 500) / 1000, " W"); }

void Identity(int gpu, const GpuFacts& facts, GpuFindingList& list) {
  const int capability = facts.compute_capability.value_or(kLeastCapability);
  list.Add(gpu, capability < kLeastCapability ? kProblem : kOk, "model",
           absl::StrCat(facts.name, ", ", MemoryText(facts.memory_bytes)),
           absl::StrFormat("compute capability %d.%d, at least %d.%d", capability / 10,
                           capability % 10, kLeastCapability / 10, kLeastCapability % 10),
           "CUDA_VISIBLE_DEVICES without GPU {gpu}");
}

void Power(int gpu, const GpuFacts& facts, GpuFindingList& list) {
  if (!facts.power_limit_mw.has_value() || !facts.power_default_mw.has_value()) return;
  const unsigned usual = *facts.power_default_mw;
  list.Add(gpu, *facts.power_limit_mw < usual ? kWarning : kOk, "power limit",
           Watts(*facts.power_limit_mw),
           absl::StrCat("default ", Watts(usual), ", at most ",
                        Watts(facts.power_max_mw.value_or(usual))),
           absl::StrCat("sudo nvidia-smi -i {gpu} -pl ", usual / 1000));
}

// An idle GPU lowers its clock by itself; a set limit shows in the application clocks.
void Clocks(int gpu, const GpuFacts& facts, GpuFindingList& list) {
  if (!facts.sm_clock_mhz.has_value() || !facts.sm_clock_max_mhz.has_value()) return;
  const bool idle = facts.slowdown_reasons.value_or(kIdleGpu) & kIdleGpu;
  const bool slow = !idle && *facts.sm_clock_mhz < kFullClock * *facts.sm_clock_max_mhz;
  // The exact clock of an idle GPU means nothing and would keep alike GPUs apart.
  list.Add(gpu, slow ? kWarning : kOk, "SM clock",
           idle ? "idle" : absl::StrCat(*facts.sm_clock_mhz, " MHz"),
           absl::StrCat("at most ", *facts.sm_clock_max_mhz, " MHz"),
           "sudo nvidia-smi -i {gpu} --reset-gpu-clocks");
  if (!facts.application_clock_mhz || !facts.application_clock_default_mhz) return;
  if (*facts.application_clock_mhz >= *facts.application_clock_default_mhz) return;
  list.Add(gpu, kWarning, "application clock", absl::StrCat(*facts.application_clock_mhz, " MHz"),
           absl::StrCat("default ", *facts.application_clock_default_mhz, " MHz"),
           "sudo nvidia-smi -i {gpu} --reset-applications-clocks");
}

void SlowedDown(int gpu, const GpuFacts& facts, GpuFindingList& list) {
  if (!facts.slowdown_reasons.has_value()) return;
  std::string level = kOk;
  std::vector<std::string> texts;
  for (const Slowdown& slowdown : SlowdownsOf(*facts.slowdown_reasons)) {
    if (texts.empty()) level = slowdown.level;  // the gravest are first
    texts.push_back(slowdown.text);
  }
  if (!texts.empty() && facts.temperature_c.has_value()) {
    texts.push_back(absl::StrCat(*facts.temperature_c, " C"));
  }
  list.Add(gpu, level, "slowdown", texts.empty() ? "none" : absl::StrJoin(texts, ", "), "none",
           "nvidia-smi -i {gpu} -q -d PERFORMANCE,TEMPERATURE,POWER");
}

void Mig(int gpu, const GpuFacts& facts, GpuFindingList& list) {
  if (!facts.mig.has_value()) return;
  list.Add(gpu, *facts.mig ? kWarning : kOk, "MIG", *facts.mig ? "on" : "off",
           "off: a rank would get a slice", "sudo nvidia-smi -i {gpu} -mig 0");
}

void Ecc(int gpu, const GpuFacts& facts, GpuFindingList& list) {
  if (facts.ecc.has_value()) {
    list.Add(gpu, *facts.ecc ? kOk : kWarning, "ECC", *facts.ecc ? "on" : "off",
             "on: flipped bits are noticed", "sudo nvidia-smi -i {gpu} -e 1 && sudo reboot");
  }
  const uint64_t errors = facts.uncorrected_errors.value_or(0);
  const bool bad = errors > 0 || facts.remap_failed || facts.remap_pending;
  list.Add(
      gpu, bad ? kProblem : kOk, "memory errors",
      absl::StrCat(errors, " uncorrected", facts.remap_pending ? ", a row awaits its spare" : "",
                   facts.remap_failed ? ", no spare row left" : ""),
      "none",
      facts.remap_failed ? "nvidia-smi -i {gpu} -q -d ROW_REMAPPER; the GPU must be replaced"
                         : "sudo nvidia-smi -i {gpu} --gpu-reset");
}

void Persistence(int gpu, const GpuFacts& facts, GpuFindingList& list) {
  if (!facts.persistence.has_value()) return;
  list.Add(gpu, *facts.persistence ? kOk : kWarning, "persistence",
           *facts.persistence ? "on" : "off", "on: the driver stays loaded between runs",
           "sudo nvidia-smi -i {gpu} -pm 1");
}

// Processes of other containers are hidden, their memory is not.
void OtherUsers(int gpu, const GpuFacts& facts, GpuFindingList& list) {
  const bool used = !facts.processes.empty() || facts.memory_used > kIdleMemory;
  std::string value = "none";
  if (!facts.processes.empty()) {
    value = absl::StrCat("process ", absl::StrJoin(facts.processes, ", "), ", ",
                         MemoryText(facts.memory_used));
  } else if (used) {
    value = absl::StrCat("hidden ones, ", MemoryText(facts.memory_used));
  }
  list.Add(gpu, used ? kWarning : kOk, "other users", value, "none",
           "nvidia-smi -i {gpu} --query-compute-apps=pid,process_name,used_memory --format=csv");
}

void ComputeMode(int gpu, const GpuFacts& facts, GpuFindingList& list) {
  constexpr unsigned kProhibited = 2;
  if (facts.compute_mode != kProhibited) return;
  list.Add(gpu, kProblem, "compute mode", "prohibited", "default",
           "sudo nvidia-smi -i {gpu} -c DEFAULT");
}

}  // namespace

std::vector<HostFinding> GpuFindings(const GpuInventory& inventory) {
  GpuFindingList list(inventory.used());
  // By rule, then by GPU: what concerns all GPUs alike stays one line.
  for (auto rule :
       {Identity, Power, Clocks, SlowedDown, Mig, Ecc, Persistence, OtherUsers, ComputeMode}) {
    for (size_t gpu = 0; gpu < inventory.gpus.size(); ++gpu) {
      rule(static_cast<int>(gpu), inventory.gpus[gpu], list);
    }
  }
  return list.Take();
}

}  // namespace regatta
