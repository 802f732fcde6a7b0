// Distributions over requests and courses over time; see sweep_charts.h.
#include <algorithm>
#include <functional>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "orchestrator/report/frontier.h"
#include "orchestrator/report/point_notes.h"
#include "orchestrator/report/sweep_charts.h"
#include "orchestrator/statistics/statistics.h"

namespace regatta {
namespace {

constexpr size_t kMaxDistributions = 8;
// What came together stands here on a logarithmic axis; only its tooltip tells how close it was.
constexpr double kAtOnceMs = 1.0 / 16;
constexpr size_t kQuantiles = 101;    // 0 %, 1 %, ... 100 %
constexpr int kMaxCourseSteps = 160;  // a pixel or two each

// A point of which there is more than its report.
struct DetailedPoint {
  std::string name;
  const PointDetails* details;
};

std::vector<DetailedPoint> DetailedPoints(absl::Span<const ReportedRun> runs) {
  const std::vector<PointSeries> all = SeriesOf(runs);
  const std::vector<std::string> names = PointNames(all);
  std::vector<DetailedPoint> points;
  size_t place = 0;  // in `names`
  for (const PointSeries& series : all) {
    for (const PointDetails* details : series.details) {
      const std::string& name = names[place++];
      if (details != nullptr) points.push_back({name, details});
    }
  }
  return points;
}

// At most kMaxDistributions of them, evenly, the first and the last among them.
template <typename T>
std::vector<T> Chosen(const std::vector<T>& all) {
  if (all.size() <= kMaxDistributions) return all;
  std::vector<T> chosen;
  for (size_t i = 0; i < kMaxDistributions; ++i) {
    chosen.push_back(all[i * (all.size() - 1) / (kMaxDistributions - 1)]);
  }
  return chosen;
}

struct Distribution {
  std::string name;
  std::vector<double> quantiles;  // at even steps
};

Chart DistributionChart(const std::string& title, const std::string& y_label,
                        const std::vector<Distribution>& all) {
  Chart chart = {.title = title,
                 .x_label = "ms",
                 .y_label = y_label,
                 .log_x = true,
                 .y_max = 100,
                 .width = 560,
                 .height = 380};
  if (all.size() > kMaxDistributions) {
    chart.subtitle = absl::StrCat(kMaxDistributions, " of ", all.size(), " points");
  }
  for (const Distribution& one : Chosen(all)) {
    const int place = static_cast<int>(chart.series.size());
    ChartSeries series = {
        .name = one.name, .color = place, .stroke = StrokeAt(place), .marks = false};
    for (size_t i = 0; i < one.quantiles.size(); ++i) {
      const double percent = 100.0 * i / (one.quantiles.size() - 1);
      series.points.push_back({.x = std::max(one.quantiles[i], kAtOnceMs),
                               .y = percent,
                               .tooltip = absl::StrFormat("%s: %.0f %% within %.4g ms", one.name,
                                                          percent, one.quantiles[i])});
    }
    chart.series.push_back(std::move(series));
  }
  return chart;
}

std::vector<Distribution> DistributionsOf(
    absl::Span<const ReportedRun> runs,
    const std::function<std::vector<double>(const PointDetails&)>& quantiles) {
  std::vector<Distribution> all;
  for (const DetailedPoint& point : DetailedPoints(runs)) {
    std::vector<double> values = quantiles(*point.details);
    if (values.size() > 1) all.push_back({point.name, std::move(values)});
  }
  return all;
}

using Series = google::protobuf::RepeatedField<double>;

ChartSeries CourseSeries(const std::string& name, int color) {
  return {.name = name, .color = color, .stroke = StrokeAt(color), .marks = false};
}

// `values` over `ms`, in seconds, at most kMaxCourseSteps of them.
template <typename Values>
ChartSeries Course(const std::string& name, int color, const Series& ms, const Values& values,
                   double scale = 1) {
  ChartSeries series = CourseSeries(name, color);
  const int stride = 1 + (ms.size() - 1) / kMaxCourseSteps;
  for (int i = 0; i < std::min(ms.size(), values.size()); i += stride) {
    series.points.push_back({.x = ms[i] / 1e3, .y = values[i] * scale});
  }
  return series;
}

// Growth per second of `totals`, over steps long enough not to show single messages.
ChartSeries Rate(const std::string& name, int color, const Series& ms, const Series& totals) {
  ChartSeries series = CourseSeries(name, color);
  const int size = std::min(ms.size(), totals.size());
  if (size < 2) return series;
  const double step_ms = std::max(500.0, (ms[size - 1] - ms[0]) / kMaxCourseSteps);
  for (int from = 0, i = 1; i < size; ++i) {
    if (ms[i] - ms[from] < step_ms && i + 1 < size) continue;
    if (ms[i] <= ms[from]) continue;
    const double rate = (totals[i] - totals[from]) / (ms[i] - ms[from]) * 1e3;
    series.points.push_back({.x = (ms[i] + ms[from]) / 2e3, .y = std::max(0.0, rate)});
    from = i;
  }
  return series;
}

Chart CourseChart(const std::string& title, const std::string& y_label,
                  std::vector<ChartSeries> series) {
  Chart chart = {.title = title, .x_label = "s", .y_label = y_label, .width = 560, .height = 300};
  for (ChartSeries& one : series) {
    one.marks = one.points.size() == 1;  // which would be no line
    if (!one.points.empty()) chart.series.push_back(std::move(one));
  }
  return chart;
}

// Figures of the GPUs with ranks, a line for each GPU; empty charts where none tells.
std::vector<Chart> GpuCharts(const PointTimeline& timeline) {
  struct Figure {
    const char *title, *unit;
    const Series& (GpuTimeline::*column)() const;
    double scale;
  };
  const Figure figures[] = {{"GPU power", "W", &GpuTimeline::power_w, 1},
                            {"GPU utilisation", "% of time", &GpuTimeline::utilization, 100},
                            {"SM clock", "MHz", &GpuTimeline::sm_clock_mhz, 1},
                            {"GPU temperature", "°C", &GpuTimeline::temperature_c, 1}};
  std::vector<Chart> charts;
  for (const Figure& figure : figures) {
    std::vector<ChartSeries> series;
    for (int i = 0; i < timeline.gpus_size(); ++i) {
      const GpuTimeline& gpu = timeline.gpus(i);
      series.push_back(Course(absl::StrCat("GPU ", gpu.index()), i, gpu.ms(),
                              (gpu.*figure.column)(), figure.scale));
    }
    charts.push_back(CourseChart(figure.title, figure.unit, std::move(series)));
  }
  return charts;
}

// Where the time axis of all charts of a point ends.
double LastSecond(const PointTimeline& timeline) {
  double last_ms = 0;
  const auto extend = [&last_ms](const Series& ms) {
    if (!ms.empty()) last_ms = std::max(last_ms, ms[ms.size() - 1]);
  };
  extend(timeline.client_ms());
  extend(timeline.router_ms());
  for (const GpuTimeline& gpu : timeline.gpus()) extend(gpu.ms());
  return last_ms / 1e3;
}

}  // namespace

Chart TtftDistribution(absl::Span<const ReportedRun> runs) {
  Chart chart = DistributionChart("Time to first token, distribution", "% of requests",
                                  DistributionsOf(runs, [](const PointDetails& point) {
                                    return EvenQuantiles(point.ttft_ms, kQuantiles);
                                  }));
  AddToSubtitle(LatencyBasis(SeriesOf(runs), HasTokenTimes), chart);
  return chart;
}

Chart ItlDistribution(absl::Span<const ReportedRun> runs) {
  const std::vector<Distribution> gaps = DistributionsOf(runs, [](const PointDetails& point) {
    const auto& quantiles = point.timeline.itl_quantiles_ms();
    return std::vector<double>(quantiles.begin(), quantiles.end());
  });
  if (!gaps.empty()) {
    return DistributionChart("Inter-token latency, distribution", "% of gaps", gaps);
  }
  return DistributionChart("Time per output token, distribution", "% of requests",
                           DistributionsOf(runs, [](const PointDetails& point) {
                             return EvenQuantiles(point.tpot_ms, kQuantiles);
                           }));
}

std::vector<PointCourse> PointCourses(absl::Span<const ReportedRun> runs) {
  std::vector<PointCourse> courses;
  for (const DetailedPoint& point : DetailedPoints(runs)) {
    const PointTimeline& t = point.details->timeline;
    if (t.client_ms_size() < 2 && t.router_ms_size() < 2) continue;
    PointCourse course = {point.name, {}};
    course.charts = {CourseChart("Requests", "requests",
                                 {Course("in flight (client)", 0, t.client_ms(), t.in_flight()),
                                  Course("running (router)", 2, t.router_ms(), t.running()),
                                  Course("waiting (router)", 1, t.router_ms(), t.waiting())}),
                     CourseChart("Output tokens", "tok/s",
                                 {Rate("received (client)", 0, t.client_ms(), t.client_tokens()),
                                  Rate("sent (router)", 2, t.router_ms(), t.router_tokens())}),
                     CourseChart("KV cache use", "% of the fullest group",
                                 {Course("KV cache", 3, t.router_ms(), t.kv_usage(), 100)})};
    for (Chart& chart : GpuCharts(t)) course.charts.push_back(std::move(chart));
    for (Chart& chart : course.charts) chart.x_max = LastSecond(t);
    courses.push_back(std::move(course));
  }
  return courses;
}

}  // namespace regatta
