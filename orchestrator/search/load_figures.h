// What the runs of one load say together, as far as a recommendation needs it. Pure.
#pragma once

#include <optional>
#include <string>

#include "absl/types/span.h"
#include "orchestrator/search/goal.h"
#include "proto/results.pb.h"

namespace regatta {

using Runs = absl::Span<const PointReport* const>;

// Means over `runs`, which must not be empty and are all of one load; intervals of the means from
// two runs on (intervals.h). The goal counts as missed where at most half of them meet it.
LoadFigures FiguresOf(const Goal& goal, Runs runs);

// The figure in which `after` is worse than `before`, with both means and the interval of their
// difference; empty when none is. Looked at are the figures that the goal is about: mean and p5
// speed and p95 TTFT, output throughput, or p95 TTFT. Worse: the 95 % interval of the difference of
// the means (Welch 1947) lies wholly on the bad side, or more requests failed. That a load at the
// edge of a goal misses it by chance is not worse. Each needs at least two runs.
std::string WorseFigure(const Goal& goal, Runs before, Runs after);

}  // namespace regatta
