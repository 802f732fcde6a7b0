// What the results of a run come to, as far as they are whole. Pure.
#pragma once

#include "proto/orchestrator.pb.h"
#include "proto/results.pb.h"

namespace regatta {

// Puts points planned and whole, requests and the best figures of `sweep` into `run`.
void Summarise(const SweepReport& sweep, RunSummary& run);

}  // namespace regatta
