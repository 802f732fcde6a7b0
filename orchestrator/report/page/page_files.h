// What report.html is made of beside the figures: Chart.js, and the files of
// orchestrator/report/page.
#pragma once

#include "absl/types/span.h"
#include "common/embedded_file.h"

namespace regatta {

// "report.css", "chart.min.js", "charts.js", "main.js"; scripts run in this order.
absl::Span<const EmbeddedFile> ReportPageFiles();

}  // namespace regatta
