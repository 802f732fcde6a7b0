// Several runs of every point: one picture of them, and how far they agree.
#pragma once

#include <google/protobuf/repeated_ptr_field.h>

#include <vector>

#include "proto/results.pb.h"

namespace regatta {

// Fewer runs make an interval too wide to say anything.
inline constexpr uint32_t kRunsForIntervals = 5;

// Every run as it was measured, in that order: `runs`, or `points` where none was repeated.
const google::protobuf::RepeatedPtrField<PointReport>& MeasuredRuns(const SweepReport& sweep);

// Nothing that was measured is missing from the run's figures: none failed, some completed.
bool IsSound(const PointReport& run);

// Whether `repeats` is of the runs of that point.
bool IsOf(const PointRepeats& repeats, const PointReport& point);

// The runs that a point of `sweep` is made of (SummarizeRuns), in the order measured.
std::vector<const PointReport*> RunsOfPoint(const SweepReport& sweep, const PointReport& point);

// Failed requests of all runs of a point of `sweep`.
uint32_t FailedRequestsAt(const SweepReport& sweep, const PointReport& point);

// Fills points and repeats of `sweep` from its runs. Runs of one load (LoadOf) are one point, those
// of other layouts and precisions others; points are in the order of their loads; runs of
// kTunedRole and kTooShortRole are in none, nor are those of a round of halving (halving_round)
// after which their layout was measured in another. The point is the run with the median output
// throughput (the lower one of two), whole, so that its figures belong together; a run in which
// requests failed only where there is no other. With at least kRunsForIntervals runs without
// failures there are intervals of the mean over those runs; of kConfirmRole and kOverloadRole,
// which follow one another instead of being measured in blocks, none counts for these.
void SummarizeRuns(SweepReport& sweep);

}  // namespace regatta
