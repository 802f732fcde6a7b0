// A sweep on a terminal: a table of its points and the frontier drawn in braille dots.
#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "orchestrator/report/frontier.h"
#include "orchestrator/report/frontier_plot.h"
#include "orchestrator/report/known_figure.h"
#include "orchestrator/report/report.h"
#include "orchestrator/report/terminal_figures.h"
#include "orchestrator/statistics/load_name.h"

namespace regatta {
namespace {

constexpr int kPlotRows = 14;
constexpr char kBold[] = "\x1b[1m", kYellow[] = "\x1b[33m", kReset[] = "\x1b[0m";

// Of all runs of the point.
uint32_t FailedRequests(const SweepReport& sweep, const PointReport& point) {
  for (const PointRepeats& repeats : sweep.repeats()) {
    const LoadKey load = {repeats.request_rate(), repeats.concurrency()};
    if (load == LoadOf(point.regatta())) return repeats.failed_requests();
  }
  return point.regatta().failed_requests();
}

// `value` with its unit, "-" for a point without one.
std::string Figure(bool known, double value, int decimals, const char* unit = "") {
  return known ? absl::StrFormat("%.*f%s", decimals, value, unit) : "-";
}

std::string Table(const SweepReport& sweep, const std::vector<bool>& frontier) {
  std::string out =
      absl::StrFormat("%8s %9s %11s %11s %12s %10s %10s %10s %7s\n", "load", "req/s", "out tok/s",
                      "tok/s/GPU", "tok/s/user", "TTFT p50", "TTFT p95", "TPOT p50", "failed");
  for (int i = 0; i < sweep.points_size(); ++i) {
    const PointReport& point = sweep.points(i);
    const StreamingMetrics& streaming = point.streaming_metrics();
    const Performance& performance = point.performance();
    const bool completed = HasCompleted(point), times = HasTokenTimes(point);
    const auto figure = [&](bool known, double value, int decimals, const char* unit = "") {
      return Figure(known && IsKnown(point, value), value, decimals, unit);
    };
    absl::StrAppendFormat(
        &out, "%8s %9s %11s %11s %12s %10s %10s %10s %7s%s\n", LoadLabel(LoadOf(point.regatta())),
        figure(completed, performance.request_throughput_req_s(), 2),
        figure(completed, performance.system_output_throughput_tok_s(), 1),
        figure(completed, GpuThroughput(point), 1), figure(completed, UserSpeed(point), 2),
        figure(times, streaming.ttft_percentiles().p50(), 1, " ms"),
        figure(times, streaming.ttft_percentiles().p95(), 1, " ms"),
        figure(times, streaming.tpot_percentiles().p50(), 2, " ms"),
        Figure(KnowsFailures(point), FailedRequests(sweep, point), 0), frontier[i] ? "  *" : "");
  }
  if (std::none_of(frontier.begin(), frontier.end(), [](bool on) { return on; })) return out;
  return out +
         "       * on the frontier: no other point is faster per user and higher in throughput\n";
}

std::string Plot(const SweepReport& sweep, bool color, int width) {
  const std::vector<std::string> lines =
      RenderFrontierPlot(PlotLinesOf(sweep), width, kPlotRows, color);
  if (lines.empty()) return "(no completed points to draw)\n";
  return absl::StrCat(absl::StrJoin(lines, "\n"), "\n");
}

}  // namespace

std::string RenderSweepOverview(const SweepReport& sweep, bool color, int width) {
  const std::vector<bool> frontier = OnFrontier(sweep);
  std::string out = absl::StrCat("\n", color ? kBold : "", "SWEEP  ", SweepSubject(sweep),
                                 color ? kReset : "", "\n");
  const std::string caveat = SweepCaveat(sweep);
  if (!caveat.empty())
    absl::StrAppend(&out, color ? kYellow : "", "! ", caveat, color ? kReset : "", "\n");
  absl::StrAppend(&out, "\n", Table(sweep, frontier), "\n", Plot(sweep, color, width),
                  SweepFigures(sweep));
  return out;
}

}  // namespace regatta
