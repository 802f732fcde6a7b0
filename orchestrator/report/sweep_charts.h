// The charts of one or several runs. Each is empty (see HasPoints) where nothing was measured.
#pragma once

#include <string>
#include <vector>

#include "absl/types/span.h"
#include "orchestrator/report/chart.h"
#include "orchestrator/report/point_series.h"

namespace regatta {

// Output tok/s per GPU over tok/s per user, a line for each layout and precision, and their union
// frontier where there are several. Dominated points are hollow.
Chart FrontierChart(absl::Span<const ReportedRun> runs);

// Over concurrency: output throughput of the whole system, and p50, p95 and p99 of TTFT and TPOT.
Chart ThroughputChart(absl::Span<const ReportedRun> runs);
Chart TtftChart(absl::Span<const ReportedRun> runs);
Chart TpotChart(absl::Span<const ReportedRun> runs);

// Cumulative distributions, in percent, of at most eight points: TTFT of requests; ITL of gaps
// between tokens, or without those TPOT of requests.
Chart TtftDistribution(absl::Span<const ReportedRun> runs);
Chart ItlDistribution(absl::Span<const ReportedRun> runs);

// A point over time.
struct PointCourse {
  std::string name;  // "tp2 bfloat16, c=8"
  // Requests; output tokens per second; KV cache use; power, utilisation, clock and temperature of
  // GPUs: all over one axis of seconds since the load began, some of them empty.
  std::vector<Chart> charts;
};
// Of every point with a timeline.
std::vector<PointCourse> PointCourses(absl::Span<const ReportedRun> runs);

// What was measured, in one line: SweepSubject of one run, else how many there are.
std::string SubjectOf(absl::Span<const ReportedRun> runs);
// SweepCaveat of one run; of several each different one, after the letters of its runs.
std::string CaveatOf(absl::Span<const ReportedRun> runs);

}  // namespace regatta
