// What of a host slows ranks down or stops them.
#pragma once

#include <vector>

#include "orchestrator/doctor/host_facts.h"
#include "proto/results.pb.h"

namespace regatta {

// One finding per rule. `num_gpus` ranks on GPUs are to run here; 0 = CPU ranks, for which some
// limits do not matter.
std::vector<HostFinding> HostFindings(const HostFacts& facts, int num_gpus);

}  // namespace regatta
