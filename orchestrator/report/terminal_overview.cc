// A sweep on a terminal: a table of its points and the frontier drawn in braille dots.
#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "orchestrator/report/frontier.h"
#include "orchestrator/report/frontier_plot.h"
#include "orchestrator/report/known_figure.h"
#include "orchestrator/report/partition_text.h"
#include "orchestrator/report/point_notes.h"
#include "orchestrator/report/recommendation_text.h"
#include "orchestrator/report/report.h"
#include "orchestrator/report/terminal_figures.h"
#include "orchestrator/statistics/headline_latency.h"
#include "orchestrator/statistics/load_name.h"
#include "orchestrator/statistics/repeats.h"
#include "orchestrator/terminal/printable.h"

namespace regatta {
namespace {

constexpr int kPlotRows = 14;
constexpr char kBold[] = "\x1b[1m", kYellow[] = "\x1b[33m", kReset[] = "\x1b[0m";

// `value` with its unit, "-" for a point without one.
std::string Figure(bool known, double value, int decimals, const char* unit = "") {
  return known ? absl::StrFormat("%.*f%s", decimals, value, unit) : "-";
}

// "tp2 fp8 " where points differ in layout or precision, as wide for all of them.
std::vector<std::string> SeriesColumn(const SweepReport& sweep) {
  std::vector<std::string> names;
  size_t width = 0;
  for (const PointReport& point : sweep.points()) {
    names.push_back(ArmName(point));
    width = std::max(width, names.back().size());
  }
  if (std::set<std::string>(names.begin(), names.end()).size() < 2) names.assign(names.size(), "");
  for (std::string& name : names) {
    if (!name.empty()) name.resize(width + 1, ' ');
  }
  return names;
}

// "3" under "cancelled"; nothing where no point of the sweep has any.
std::vector<std::string> CancelledColumn(const SweepReport& sweep) {
  std::vector<std::string> cells;
  const bool any = AnyCancelled(sweep);
  for (const PointReport& point : sweep.points()) {
    const uint32_t cancelled = point.regatta().cancelled_requests();
    cells.push_back(any ? absl::StrFormat(" %9s", Figure(IsKnown(point, cancelled), cancelled, 0))
                        : "");
  }
  return cells;
}

std::string Table(const SweepReport& sweep, const std::vector<bool>& frontier) {
  const std::vector<std::string> series = SeriesColumn(sweep), cancelled = CancelledColumn(sweep);
  std::string out(series.empty() ? 0 : series[0].size(), ' ');
  absl::StrAppendFormat(&out, "%8s %9s %11s %11s %12s %10s %10s %10s %7s%s\n", "load", "req/s",
                        "out tok/s", "tok/s/GPU", "tok/s/user", "TTFT p50", "TTFT p95", "TPOT p50",
                        "failed", AnyCancelled(sweep) ? " cancelled" : "");
  for (int i = 0; i < sweep.points_size(); ++i) {
    const PointReport& point = sweep.points(i);
    const Percentiles &ttft = HeadlineTtft(point),
                      &tpot = point.streaming_metrics().tpot_percentiles();
    const Performance& performance = point.performance();
    const bool completed = HasCompleted(point), times = HasTokenTimes(point);
    const auto figure = [&](bool known, double value, int decimals, const char* unit = "") {
      return Figure(known && IsKnown(point, value), value, decimals, unit);
    };
    absl::StrAppendFormat(
        &out, "%s%8s %9s %11s %11s %12s %10s %10s %10s %7s%s%s%s\n", series[i],
        LoadLabel(LoadOf(point.regatta())),
        figure(completed, performance.request_throughput_req_s(), 2),
        figure(completed, performance.system_output_throughput_tok_s(), 1),
        figure(completed, GpuThroughput(point), 1), figure(completed, UserSpeed(point), 2),
        figure(times, ttft.p50(), 1, " ms"), figure(times, ttft.p95(), 1, " ms"),
        figure(times, tpot.p50(), 2, " ms"),
        Figure(KnowsFailures(point), FailedRequestsAt(sweep, point), 0), cancelled[i],
        frontier[i] ? "  *" : "", NotesOf(point).empty() ? "" : "  !");
  }
  return out;
}

// What the table's marks and its times to the first token mean, and what limits its points.
std::string TableNotes(const SweepReport& sweep, const std::vector<bool>& frontier) {
  ReportedRun run;
  run.sweep = sweep;
  const std::vector<PointSeries> all = SeriesOf({&run, 1});
  std::string out;
  if (std::any_of(frontier.begin(), frontier.end(), [](bool on) { return on; })) {
    out = "       * on the frontier: no other point is faster per user and higher in throughput\n";
  }
  const std::string basis = LatencyBasis(all, HasTokenTimes);
  if (!basis.empty()) absl::StrAppend(&out, "       TTFT is ", PrintableLine(basis), "\n");
  for (const PointNote& note : NotesOf(all)) {
    absl::StrAppend(&out, "       ! ", PrintableLine(absl::StrJoin(note.points, "; ")), ": ",
                    PrintableLine(note.text), "\n");
  }
  return out;
}

std::string Plot(const SweepReport& sweep, bool color, int width) {
  const std::vector<std::string> lines =
      RenderFrontierPlot(PlotLinesOf(sweep), width, kPlotRows, color);
  if (lines.empty()) return "(no completed points to draw)\n";
  return absl::StrCat(absl::StrJoin(lines, "\n"), "\n");
}

}  // namespace

std::string RenderPointLines(const PointReport& point) {
  const bool completed = HasCompleted(point), times = HasTokenTimes(point);
  std::string out = absl::StrFormat(
      "%-22s %-6s %12s tok/s/GPU %11s tok/s/user%s   %s p95 %s, %d requests%s%s\n",
      absl::StripLeadingAsciiWhitespace(
          absl::StrCat(point.regatta().layout(), " ", PrecisionOf(point))),
      LoadLabel(LoadOf(point.regatta())), Figure(completed, GpuThroughput(point), 1),
      Figure(completed, UserSpeed(point), 2),
      SpeedIsWithContext(point) ? " (output tokens / latency)" : "", HeadlineTtftName(point),
      Figure(times, HeadlineTtft(point).p95(), 1, " ms"), point.request_info().num_requests(),
      point.regatta().failed_requests() > 0
          ? absl::StrCat(", ", point.regatta().failed_requests(), " FAILED")
          : "",
      point.regatta().cancelled_requests() > 0
          ? absl::StrCat(", ", point.regatta().cancelled_requests(), " cancelled")
          : "");
  for (const std::string& note : NotesOf(point)) {
    absl::StrAppend(&out, "  ! ", PrintableLine(note), "\n");
  }
  return out;
}

std::string RepeatLines(const SweepReport& sweep) {
  const std::string& directory = sweep.working_directory();
  return absl::StrCat("Repeat:  ", sweep.command(), "\n",
                      directory.empty() ? "" : absl::StrCat("In:      ", directory, "\n"));
}

std::string RenderSweepOverview(const SweepReport& sweep, bool color, int width) {
  const std::vector<bool> frontier = OnFrontier(sweep);
  std::string out = absl::StrCat("\n", color ? kBold : "", "SWEEP  ",
                                 PrintableLine(SweepSubject(sweep)), color ? kReset : "", "\n");
  const std::string caveat = SweepCaveat(sweep);
  if (!caveat.empty())
    absl::StrAppend(&out, color ? kYellow : "", "! ", caveat, color ? kReset : "", "\n");
  absl::StrAppend(&out, "\n", Table(sweep, frontier), TableNotes(sweep, frontier), "\n",
                  Plot(sweep, color, width), SweepFigures(sweep), RecommendationText(sweep));
  if (sweep.has_partition()) {
    absl::StrAppend(&out, "\n", CandidatesText(sweep), "\n", EqualSpeedText(sweep.partition()));
  }
  return out;
}

}  // namespace regatta
