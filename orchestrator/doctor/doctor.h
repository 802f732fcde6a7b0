// `regatta doctor`: looks at everything, changes nothing.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "orchestrator/doctor/gpu_inventory.h"
#include "orchestrator/doctor/host_facts.h"
#include "orchestrator/doctor/library_facts.h"
#include "proto/results.pb.h"

namespace regatta {

// Everything that the rules look at.
struct DoctorFacts {
  HostFacts host;
  absl::StatusOr<GpuInventory> gpus = absl::NotFoundError("not read");
  BuildFacts build;
};

// Reads this host; takes well under a second. `ranks` are to run on GPUs that CUDA_VISIBLE_DEVICES
// shows; 0 = as many as it shows.
DoctorFacts ReadDoctorFacts(uint32_t ranks);

// All rules, in the order of a report: driver, libraries, GPUs, host.
std::vector<HostFinding> Diagnose(const DoctorFacts& facts);

// A table, each warning and problem with its command below, and a line that counts them.
std::string DoctorText(const std::vector<HostFinding>& findings);

// {"findings": [{level, subject, what, value, limit, mend}], "warnings": n, "problems": n}.
std::string DoctorJson(const std::vector<HostFinding>& findings);

// One line, for a run that goes on: "GPU 0: power limit is 500 W (default 700 W...)".
std::string FindingLine(const HostFinding& finding);

}  // namespace regatta
