// results.json of one run or of two: refused with a message, or everything that reports and
// comparisons make of it is made.
#include <string>
#include <utility>
#include <vector>

#include "common/check.h"
#include "orchestrator/compare/comparison.h"
#include "orchestrator/compare/comparison_text.h"
#include "orchestrator/compare/forest_plot.h"
#include "orchestrator/report/html_page.h"
#include "orchestrator/report/report.h"
#include "orchestrator/terminal/printable.h"
#include "tests/fuzz/fuzz_input.h"

namespace regatta {

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  FuzzInput input(data, size);
  std::vector<ReportedRun> runs;
  while (!input.empty()) {
    ReportedRun run;
    const absl::Status read = FromJson(std::string(input.Until(kNextPart)), run.sweep);
    CHECK(read.ok() || !read.message().empty());
    if (!read.ok()) return 0;
    MakePrintable(run.sweep);
    runs.push_back(std::move(run));
  }
  if (runs.empty()) return 0;
  CHECK(!RenderHtml(runs).empty());
  for (const ReportedRun& run : runs) {
    CHECK(!RenderSweepOverview(run.sweep, /*color=*/true, 80).empty());
    CHECK(!RenderCsv(run.sweep).empty() && !RenderMarkdown(run.sweep).empty());
    for (const PointReport& point : run.sweep.points()) RenderTerminalReport(point);
  }
  const auto options = ComparisonOptionsOf(0.01, {"output_throughput<-5%"});
  CHECK(options.ok());
  const auto comparison =
      CompareRuns({"a", runs.front().sweep}, {"b", runs.back().sweep}, *options);
  CHECK(comparison.ok() || !comparison.status().message().empty());
  if (!comparison.ok()) return 0;
  CHECK(!ComparisonText(*comparison, /*all_metrics=*/true).empty());
  CHECK(!ComparisonMarkdown(*comparison, /*all_metrics=*/true).empty());
  CHECK(!ForestPlot(*comparison).empty());
  return 0;
}

}  // namespace regatta
