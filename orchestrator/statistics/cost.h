// What tokens cost where GPUs are paid by the hour.
#pragma once

#include "proto/results.pb.h"

namespace regatta {

// Fills report.regatta().cost, which brings gpu_hour_price, from the whole run's throughputs:
// price x GPUs / (tokens per hour) x 10^6. GPUs are the world size; with idle ones those of the
// pool that no group uses are paid for too. Zeros where no token came.
void FillCost(PointReport& report);

}  // namespace regatta
