// What trtllm-bench does not print: the figures under `regatta`, as a section of its style.
#pragma once

#include <string>

#include "proto/results.pb.h"

namespace regatta {

// Above and below the headings of a report.
inline constexpr char kReportRule[] =
    "===========================================================\n";

// Latencies from the schedule, per chunk and split, the steady window beside the whole run,
// certainty, goodput, energy, cost. Empty for a report without them, as trtllm-bench writes it.
std::string FiguresSection(const PointReport& point);

// Intervals over repeats and users at each asked speed; empty if there are neither.
std::string SweepFigures(const SweepReport& sweep);

}  // namespace regatta
