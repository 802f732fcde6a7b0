// The part of the HTML page on an experiment over layouts.
#pragma once

#include <string>

#include "absl/types/span.h"
#include "orchestrator/report/point_series.h"

namespace regatta {

// Of each run with an experiment: which layout wins at which speed, all of them at equal speeds,
// and what became of every candidate. Empty where there is none.
std::string PartitionsHtml(absl::Span<const ReportedRun> runs);

}  // namespace regatta
