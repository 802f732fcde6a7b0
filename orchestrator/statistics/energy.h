// What tokens cost in energy.
#pragma once

#include "proto/results.pb.h"

namespace regatta {

// Fills the sums and ratios of report.regatta().energy, which brings seconds and gpus, from the
// whole run's tokens: joules are of the GPUs with ranks, over all the time that was metered.
void FillEnergy(PointReport& report);

}  // namespace regatta
