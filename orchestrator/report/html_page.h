// The self-contained HTML page of one or several runs: charts, tables, per-point reports,
// everything needed to repeat them. Its scripts are in it, and it loads nothing; without scripts
// its charts are SVG.
#pragma once

#include <string>

#include "absl/types/span.h"
#include "orchestrator/report/point_series.h"

namespace regatta {

std::string RenderHtml(absl::Span<const ReportedRun> runs);

}  // namespace regatta
