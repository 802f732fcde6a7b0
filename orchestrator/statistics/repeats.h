// Several runs of every point: one picture of them, and how far they agree.
#pragma once

#include <google/protobuf/repeated_ptr_field.h>

#include "proto/results.pb.h"

namespace regatta {

// Fewer runs make an interval too wide to say anything.
inline constexpr uint32_t kRunsForIntervals = 5;

// Fills points and repeats of `sweep` from its runs: of each concurrency, in ascending order, the
// run with the median output throughput (the lower one of two), whole, so that its figures belong
// together; and with at least kRunsForIntervals runs the intervals of the mean over runs of the
// headline figures.
void SummarizeRuns(SweepReport& sweep);

// The interval of `metric` at `concurrency`; null if there is none.
const Interval* FindInterval(const SweepReport& sweep, uint32_t concurrency, const char* metric);

}  // namespace regatta
