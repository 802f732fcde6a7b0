// NVML's reasons in words; see slowdown.h.
#include "orchestrator/doctor/slowdown.h"

#include "orchestrator/doctor/finding.h"

namespace regatta {
namespace {

constexpr Slowdown kSlowdowns[] = {
    {0x40, kProblem, "too hot (hardware)"}, {0x80, kProblem, "external power brake"},
    {0x8, kProblem, "hardware slowdown"},   {0x20, kWarning, "too hot (driver)"},
    {0x4, kWarning, "power cap"},           {0x10, kWarning, "tied to a slower GPU"},
    {0x2, kWarning, "application clocks"},
};

}  // namespace

std::vector<Slowdown> SlowdownsOf(uint64_t reasons) {
  std::vector<Slowdown> found;
  for (const Slowdown& slowdown : kSlowdowns) {
    if ((reasons & slowdown.bit) != 0) found.push_back(slowdown);
  }
  return found;
}

}  // namespace regatta
