// Summary figures of a run and two runs side by side, from their results. Pure.
#pragma once

#include "proto/orchestrator.pb.h"
#include "proto/results.pb.h"

namespace regatta {

// Puts points planned and whole, requests and the best figures of `sweep` into `run`.
void Summarise(const SweepReport& sweep, RunSummary& run);

// Whole points of the same concurrency side by side, the n-th of one run with the n-th of the
// other, and what makes their figures incomparable.
RunComparison ComparePoints(const SweepReport& first, const SweepReport& second);

}  // namespace regatta
