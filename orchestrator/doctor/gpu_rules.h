// What of a GPU, or between GPUs, slows ranks down or stops them.
#pragma once

#include <vector>

#include "orchestrator/doctor/gpu_inventory.h"
#include "orchestrator/doctor/host_facts.h"
#include "proto/results.pb.h"

namespace regatta {

// Findings about each GPU by itself; alike GPUs share one.
std::vector<HostFinding> GpuFindings(const GpuInventory& inventory);

// Findings about the GPUs in use together: peer access, NVLink, the fabric of NVSwitch, the way to
// the CPUs of `host`. Empty without GPUs.
std::vector<HostFinding> TopologyFindings(const GpuInventory& inventory, const HostFacts& host);

}  // namespace regatta
