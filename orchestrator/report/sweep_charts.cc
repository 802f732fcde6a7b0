// Charts over speed and concurrency; see sweep_charts.h.
#include "orchestrator/report/sweep_charts.h"

#include <algorithm>
#include <iterator>
#include <map>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "common/check.h"
#include "orchestrator/report/frontier.h"
#include "orchestrator/report/known_figure.h"
#include "orchestrator/report/point_notes.h"
#include "orchestrator/statistics/headline_latency.h"
#include "orchestrator/statistics/load_name.h"

namespace regatta {
namespace {

// What is known of a point, "c=8: 54.1 tok/s/user, 211.0 tok/s/GPU, TTFT p50 20.3 ms".
std::string Tooltip(const PointReport& point) {
  std::vector<std::string> parts;
  const auto add = [&](const std::string& before, int decimals, double figure, const char* unit) {
    if (!IsKnown(point, figure)) return;
    parts.push_back(absl::StrFormat("%s%.*f %s", before, decimals, figure, unit));
  };
  add("", 1, UserSpeed(point), "tok/s/user");
  add("", 1, GpuThroughput(point), "tok/s/GPU");
  if (HasTokenTimes(point)) {
    add(absl::StrCat(HeadlineTtftName(point), " p50 "), 1, HeadlineTtft(point).p50(), "ms");
    add("TPOT p50 ", 2, point.streaming_metrics().tpot_percentiles().p50(), "ms");
  }
  return absl::StrCat(LoadLabel(LoadOf(point.regatta())), ": ", absl::StrJoin(parts, ", "));
}

bool OnGpus(absl::Span<const ReportedRun> runs) {
  return std::all_of(runs.begin(), runs.end(), [](const ReportedRun& run) {
    return run.sweep.points_size() == 0 || run.sweep.points(0).regatta().performance_figure();
  });
}

// Of all frontier points, from the slowest to the fastest per user.
ChartSeries UnionFrontier(const std::vector<const PointReport*>& points,
                          const std::vector<bool>& on_frontier) {
  ChartSeries series = {
      .name = "best of all", .color = kNeutralColor, .stroke = Stroke::kDashed, .marks = false};
  for (size_t i = 0; i < points.size(); ++i) {
    if (!on_frontier[i] || !IsKnown(*points[i], UserSpeed(*points[i]))) continue;
    series.points.push_back({.x = UserSpeed(*points[i]), .y = GpuThroughput(*points[i])});
  }
  std::sort(series.points.begin(), series.points.end(),
            [](const ChartPoint& a, const ChartPoint& b) { return a.x < b.x; });
  return series;
}

struct Statistic {
  const char* name;
  double (*get)(const PointReport&);
};

constexpr Stroke kStrokes[] = {Stroke::kSolid, Stroke::kDashed, Stroke::kDotted};
constexpr const char* kStrokeNames[] = {"solid", "dashed", "dotted"};

// "p50 solid, p95 dashed, p99 dotted".
std::string StrokesOf(const std::vector<Statistic>& statistics) {
  std::vector<std::string> parts;
  for (size_t k = 0; k < statistics.size(); ++k) {
    parts.push_back(absl::StrCat(statistics[k].name, " ", kStrokeNames[k]));
  }
  return absl::StrJoin(parts, ", ");
}

// All points were measured at rates; else their concurrency places them.
bool OverRates(const std::vector<PointSeries>& all) {
  const std::vector<const PointReport*> points = AllPoints(all);
  return !points.empty() && std::all_of(points.begin(), points.end(), [](const PointReport* point) {
    return point->regatta().load().request_rate() > 0;
  });
}

std::vector<ChartPoint> PointsOverLoad(const PointSeries& series, bool over_rates,
                                       const Statistic& statistic,
                                       bool (*known)(const PointReport&)) {
  std::vector<ChartPoint> points;
  for (const PointReport* point : series.points) {
    const double y = statistic.get(*point);
    if (!known(*point) || !IsKnown(*point, y)) continue;
    const LoadKey load = LoadOf(point->regatta());
    points.push_back(
        {.x = over_rates ? load.request_rate : double(std::max(1u, load.concurrency)),
         .y = y,
         .tooltip = absl::StrFormat("%s %.4g, %s", statistic.name, y, Tooltip(*point))});
  }
  return points;
}

// A chart over the load. One series differs by statistic in colour; several do by stroke. Its
// caveats are those of the page that it is on.
Chart OverLoad(absl::Span<const ReportedRun> runs, const std::string& title,
               const std::string& unit, bool (*known)(const PointReport&),
               const std::vector<Statistic>& statistics) {
  CHECK_LE(statistics.size(), std::size(kStrokes));
  const bool one_statistic = statistics.size() == 1;
  const std::vector<PointSeries> all = SeriesInFull(runs);
  const bool several = all.size() > 1, over_rates = OverRates(all);
  Chart chart = {.title = title,
                 .subtitle = several && statistics.size() > 1 ? StrokesOf(statistics) : "",
                 .x_label = over_rates ? "Requests per second" : "Concurrency (requests in flight)",
                 .y_label = unit,
                 .log_x = true,
                 .width = 560,
                 .height = 380};
  for (size_t s = 0; s < all.size(); ++s) {
    for (size_t k = 0; k < statistics.size(); ++k) {
      chart.series.push_back({.name = several ? all[s].name : statistics[k].name,
                              .in_legend = !several || k == 0,
                              .points = PointsOverLoad(all[s], over_rates, statistics[k], known),
                              .color = static_cast<int>(several ? s : k),
                              .stroke = !several        ? Stroke::kSolid
                                        : one_statistic ? StrokeAt(s)
                                                        : kStrokes[k]});
    }
  }
  return chart;
}

}  // namespace

std::string SubjectOf(absl::Span<const ReportedRun> runs) {
  return runs.size() == 1 ? SweepSubject(runs[0].sweep) : absl::StrCat(runs.size(), " runs");
}

std::string CaveatOf(absl::Span<const ReportedRun> runs) {
  if (runs.size() == 1) return SweepCaveat(runs[0].sweep);
  std::map<std::string, std::vector<std::string>> letters;  // by caveat
  for (size_t r = 0; r < runs.size(); ++r) {
    const std::string caveat = SweepCaveat(runs[r].sweep);
    if (!caveat.empty()) letters[caveat].push_back(RunLetter(r));
  }
  std::vector<std::string> parts;
  for (const auto& [caveat, of] : letters) {
    parts.push_back(absl::StrCat(absl::StrJoin(of, ", "), ": ", caveat));
  }
  return absl::StrJoin(parts, "; ");
}

Chart FrontierChart(absl::Span<const ReportedRun> runs) {
  Chart chart = {.title = "Throughput against speed",
                 .subtitle = SubjectOf(runs),
                 .note = CaveatOf(runs),
                 .x_label = "Per User Output Speed (tok/s/user)",
                 .y_label = OnGpus(runs) ? "Per GPU Output Throughput (tok/s/GPU)"
                                         : "Output throughput per rank (tok/s/rank)"};
  const std::vector<PointSeries> all = SeriesInFull(runs);
  const std::vector<const PointReport*> points = AllPoints(all);
  const std::vector<bool> on_frontier = OnFrontier(all);
  if (all.size() > 1) chart.series.push_back(UnionFrontier(points, on_frontier));
  size_t place = 0;  // in `points`
  for (size_t s = 0; s < all.size(); ++s) {
    ChartSeries series = {.name = all[s].name, .color = static_cast<int>(s), .stroke = StrokeAt(s)};
    for (const PointReport* point : all[s].points) {
      const bool on = on_frontier[place++];
      if (GpuThroughput(*point) <= 0 || !IsKnown(*point, UserSpeed(*point))) continue;
      series.points.push_back({.x = UserSpeed(*point),
                               .y = GpuThroughput(*point),
                               .label = LoadLabel(LoadOf(point->regatta())),
                               .tooltip = Tooltip(*point),
                               .hollow = !on});
    }
    chart.series.push_back(std::move(series));
  }
  return chart;
}

Chart ThroughputChart(absl::Span<const ReportedRun> runs) {
  return OverLoad(runs, "Output throughput", "tok/s, whole system", HasCompleted,
                  {{"output", [](const PointReport& p) {
                      return p.performance().system_output_throughput_tok_s();
                    }}});
}

Chart TtftChart(absl::Span<const ReportedRun> runs) {
  Chart chart = OverLoad(runs, "Time to first token", "ms", HasTokenTimes,
                         {{"p50", [](const PointReport& p) { return HeadlineTtft(p).p50(); }},
                          {"p95", [](const PointReport& p) { return HeadlineTtft(p).p95(); }},
                          {"p99", [](const PointReport& p) { return HeadlineTtft(p).p99(); }}});
  AddToSubtitle(LatencyBasis(SeriesInFull(runs), HasTokenTimes), chart);
  return chart;
}

Chart TpotChart(absl::Span<const ReportedRun> runs) {
  return OverLoad(
      runs, "Time per output token", "ms", HasTokenTimes,
      {{"p50", [](const PointReport& p) { return p.streaming_metrics().tpot_percentiles().p50(); }},
       {"p95", [](const PointReport& p) { return p.streaming_metrics().tpot_percentiles().p95(); }},
       {"p99",
        [](const PointReport& p) { return p.streaming_metrics().tpot_percentiles().p99(); }}});
}

}  // namespace regatta
