// The points of one or several runs as lines of a chart: one for each run, layout and precision.
#pragma once

#include <string>
#include <vector>

#include "absl/types/span.h"
#include "orchestrator/report/run_details.h"
#include "proto/results.pb.h"

namespace regatta {

// A stored run as reports show it.
struct ReportedRun {
  std::string name;  // of its directory; not shown when it is the only run
  SweepReport sweep;
  RunDetails details;  // empty or of as many points as the sweep
};

struct PointSeries {
  std::string name;  // "tp2 bfloat16", after "A " of several runs
  std::vector<const PointReport*> points;
  std::vector<const PointDetails*> details;  // null where there are none
  std::vector<uint32_t> failed;              // requests of all runs of the point
};

// "tp2 bfloat16"; "tp2 bfloat16 (round 1)" of a layout that was dropped after that round of
// halving. Empty where a point tells neither.
std::string ArmName(const PointReport& point);

// "A", "B", ... "Z", "27", ... of several runs.
std::string RunLetter(size_t run);

// In the order of the runs and, within one, of first appearance. `runs` must outlive the result.
std::vector<PointSeries> SeriesOf(absl::Span<const ReportedRun> runs);

// The same without points of a round that dropped their layout early (halving_round), unless
// nothing else was measured: what curves and comparisons are made of.
std::vector<PointSeries> SeriesInFull(absl::Span<const ReportedRun> runs);

// All points of `series`, one series after another.
std::vector<const PointReport*> AllPoints(const std::vector<PointSeries>& series);

// Their loads, "c=8", after their series where there are several, "tp2 bfloat16, c=8".
std::vector<std::string> PointNames(const std::vector<PointSeries>& series);

// As it was asked for, or quantization, or the dtype where there is none.
const std::string& PrecisionOf(const PointReport& point);

}  // namespace regatta
