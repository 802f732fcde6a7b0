// Charts of more series than the palette has colours, and pages of them: nothing looks like
// another, nothing is said twice.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <tuple>

#include "absl/strings/str_cat.h"
#include "orchestrator/report/chart_json.h"
#include "orchestrator/report/html_page.h"
#include "orchestrator/report/svg_chart.h"
#include "orchestrator/report/sweep_charts.h"

namespace regatta {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr char kCaveat[] = "device: CPU ranks, not a performance figure; dummy weights";

// Each layout at two loads.
ReportedRun RunOf(int layouts) {
  ReportedRun run;
  run.sweep.set_completed(true);
  for (int i = 0; i < 2 * layouts; ++i) {
    PointReport& point = *run.sweep.add_points();
    point.mutable_request_info()->set_num_requests(40);
    point.mutable_performance()->set_output_throughput_per_gpu_tok_s(100 + i);
    point.mutable_performance()->set_system_output_throughput_tok_s(100 + i);
    StreamingMetrics& streaming = *point.mutable_streaming_metrics();
    for (Percentiles* p :
         {streaming.mutable_ttft_percentiles(), streaming.mutable_tpot_percentiles()}) {
      p->set_p50(10 + i);
      p->set_p95(20 + i);
      p->set_p99(30 + i);
    }
    RegattaInfo& info = *point.mutable_regatta();
    info.set_concurrency(1 + i % 2);
    info.set_user_speed_tok_s(50 - i);
    info.set_layout(absl::StrCat("tp", 1 + i / 2));
    info.set_device_note("CPU ranks, not a performance figure");
    info.set_dummy_weights(true);
  }
  return run;
}

// Of the series that are named: what tells them apart, without strokes where `by_stroke` is false.
size_t Looks(const Chart& chart, bool by_stroke) {
  std::set<std::tuple<std::string, Mark, Stroke>> looks;
  for (const ChartSeries& series : chart.series) {
    if (!series.in_legend || series.color == kNeutralColor) continue;
    looks.emplace(ColorOf(series.color), series.marks ? MarkAt(series.color) : Mark::kCircle,
                  by_stroke ? series.stroke : Stroke::kSolid);
  }
  return looks.size();
}

TEST(ManySeries, NoTwoLookAlike) {
  const ReportedRun run = RunOf(24);
  EXPECT_EQ(Looks(FrontierChart({&run, 1}), /*by_stroke=*/false), 24u);
  EXPECT_EQ(Looks(ThroughputChart({&run, 1}), /*by_stroke=*/false), 24u);
  EXPECT_EQ(Looks(TtftChart({&run, 1}), /*by_stroke=*/false), 24u) << "strokes tell percentiles";
  const ReportedRun more = RunOf(72);
  EXPECT_EQ(Looks(FrontierChart({&more, 1}), /*by_stroke=*/true), 72u);
}

TEST(ManySeries, LinesWithoutMarksDifferByStroke) {
  std::set<std::pair<std::string, Stroke>> looks;
  for (int place = 0; place < 18; ++place) looks.emplace(ColorOf(place), StrokeAt(place));
  EXPECT_EQ(looks.size(), 18u);
}

TEST(ManySeries, MarksAreDrawn) {
  const ReportedRun few = RunOf(6), many = RunOf(7);
  EXPECT_THAT(RenderSvg(FrontierChart({&few, 1})), Not(HasSubstr("<polygon")));
  EXPECT_THAT(RenderSvg(FrontierChart({&many, 1})), HasSubstr("<polygon points=\""));
  EXPECT_THAT(ChartJson(FrontierChart({&many, 1})),
              HasSubstr("\"name\":\"tp7\",\"color\":\"#0072B2\",\"stroke\":\"dashed\",\"mark\":"
                        "\"triangle\""));
}

TEST(ManySeries, KeysShowTheMarks) {
  const Chart chart = {.series = {{.name = "a", .points = {{.x = 1, .y = 1}}, .color = 6},
                                  {.name = "b", .points = {{.x = 2, .y = 1}}, .color = 12}}};
  EXPECT_THAT(RenderSvg(chart), HasSubstr("<title>a</title></polygon>"));
  EXPECT_THAT(RenderSvg(chart), HasSubstr("<title>b</title></polygon>"));
}

size_t Count(const std::string& text, const std::string& what) {
  size_t count = 0;
  for (size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + 1)) ++count;
  return count;
}

TEST(Page, SaysACaveatOnce) {
  const ReportedRun run = RunOf(2);
  EXPECT_EQ(Count(RenderHtml({&run, 1}), kCaveat), 1u);
  const ReportedRun both[] = {run, RunOf(1)};
  EXPECT_EQ(Count(RenderHtml(both), kCaveat), 1u);
  EXPECT_THAT(RenderHtml(both), HasSubstr(absl::StrCat("A, B: ", kCaveat)));
}

TEST(Picture, ThatStandsAloneCarriesTheCaveat) {
  const ReportedRun run = RunOf(2);
  EXPECT_THAT(RenderSvg(FrontierChart({&run, 1})), HasSubstr(kCaveat));
}

}  // namespace
}  // namespace regatta
