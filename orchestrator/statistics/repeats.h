// Several runs of every point: one picture of them, and how far they agree.
#pragma once

#include <google/protobuf/repeated_ptr_field.h>

#include "proto/results.pb.h"

namespace regatta {

// Fewer runs make an interval too wide to say anything.
inline constexpr uint32_t kRunsForIntervals = 5;

// RegattaInfo.search_role of runs under other limits than the sweep's, which are kept beside it.
inline constexpr char kTunedRole[] = "tuned";

// Every run as it was measured, in that order: `runs`, or `points` where none was repeated.
const google::protobuf::RepeatedPtrField<PointReport>& MeasuredRuns(const SweepReport& sweep);

// Nothing that was measured is missing from the run's figures: none failed, some completed.
bool IsSound(const PointReport& run);

// Fills points and repeats of `sweep` from its runs. Runs of one load (LoadOf) are one point;
// points are in the order of their loads; runs of kTunedRole are in none. The point is the run with
// the median output throughput (the lower one of two), whole, so that its figures belong together;
// a run in which requests failed only where there is no other. With at least kRunsForIntervals runs
// without failures there are intervals of the mean over those runs.
void SummarizeRuns(SweepReport& sweep);

}  // namespace regatta
