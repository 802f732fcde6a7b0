// Choosing how products run best, by measurement, when a rank is formed: rank 0 measures, all ranks
// take what it found, and its next start on such a device finds it in a file.
#pragma once

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "kernels/ops.h"
#include "worker/collectives/communicator.h"
#include "worker/model.h"
#include "worker/slot_table.h"
#include "worker/step_inputs.h"

namespace regatta {

// Runs steps of every size up to the limits on all ranks of `world`, which must all call. Does
// nothing where the backend has no choices. `report` is told the fraction done and may end it.
// Errors: those of communication, INTERNAL for a device fault. A file that cannot be read or
// written is done without.
absl::Status TuneProducts(const SlotLimits& limits, Model& model, StepInputs& inputs, Ops& ops,
                          Communicator& world, absl::FunctionRef<absl::Status(double)> report);

}  // namespace regatta
