// Reports of runs that others published: what they do not say is no zero, neither as text nor in a
// chart.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "orchestrator/report/frontier.h"
#include "orchestrator/report/html_page.h"
#include "orchestrator/report/report.h"
#include "orchestrator/report/sweep_charts.h"

namespace regatta {
namespace {

using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using ::testing::Not;

// As a row that has throughput, mean lengths and median latencies alone.
SweepReport Published() {
  SweepReport sweep;
  sweep.set_completed(true);
  sweep.mutable_imported()->set_format("inferencex");
  sweep.mutable_imported()->set_published_by("example.org");
  sweep.mutable_imported()->add_files("agg.json");
  sweep.mutable_imported()->add_notes("speed per user is 1 / median TPOT");
  PointReport& point = *sweep.add_points();
  point.mutable_engine()->set_backend("vllm");
  point.mutable_engine()->set_version("0.10");
  point.mutable_world_info()->set_world_size(4);
  point.mutable_world_info()->set_tp_size(4);
  point.mutable_request_info()->set_num_requests(80);
  point.mutable_performance()->set_system_output_throughput_tok_s(800);
  point.mutable_performance()->set_output_throughput_per_gpu_tok_s(200);
  StreamingMetrics& streaming = *point.mutable_streaming_metrics();
  streaming.set_token_output_speed_tok_s(100);
  streaming.mutable_ttft_percentiles()->set_p50(58);
  streaming.mutable_tpot_percentiles()->set_p50(10);
  RegattaInfo& info = *point.mutable_regatta();
  info.set_imported(true);
  info.set_concurrency(8);
  info.set_performance_figure(true);
  info.set_run_number(1);
  return sweep;
}

ReportedRun RunOf(const SweepReport& sweep) {
  ReportedRun run;
  run.sweep = sweep;
  return run;
}

TEST(ImportedReport, TheTableHasDashesForWhatIsNotKnown) {
  const std::string text = RenderSweepOverview(Published(), /*color=*/false, /*width=*/100);
  EXPECT_THAT(text, ContainsRegex("c=8 +- +800.0 +200.0 +100.00 +58.0 ms +- +10.00 ms +-  [*]"));
  EXPECT_THAT(text, HasSubstr("not measured here, published by example.org (inferencex)"));
}

TEST(ImportedReport, FailuresThatWereCountedAreShown) {
  SweepReport sweep = Published();
  sweep.mutable_points(0)->mutable_regatta()->set_issued_requests(80);
  EXPECT_THAT(RenderSweepOverview(sweep, false, 100), ContainsRegex("10.00 ms +0  [*]"));
  EXPECT_THAT(RenderCsv(sweep), HasSubstr("\n8,80,0,,,800,"));
  EXPECT_THAT(RenderCsv(Published()), HasSubstr("\n8,80,,,,800,"));
}

TEST(ImportedReport, ThePointsReportHasDashes) {
  const std::string text = RenderTerminalReport(Published().points(0));
  EXPECT_THAT(text, HasSubstr("Request Throughput (req/sec):                     -\n"));
  EXPECT_THAT(text, HasSubstr("Per GPU Output Throughput (tps/gpu):              200.0000\n"));
  EXPECT_THAT(text, HasSubstr("[TTFT] P50    : 58.0000\n[TTFT] P90    : -\n"));
  EXPECT_THAT(text, HasSubstr("Max Runtime Batch Size: -\n"));
  EXPECT_THAT(text, HasSubstr("\nVersion:                0.10\n"));
  EXPECT_THAT(text, Not(ContainsRegex("[: ]0[.]0000")));
}

TEST(ImportedReport, ChartsLeaveOutWhatIsNotKnown) {
  const ReportedRun run = RunOf(Published());
  const Chart ttft = TtftChart({&run, 1});
  ASSERT_EQ(ttft.series.size(), 3u);
  EXPECT_EQ(ttft.series[0].points.size(), 1u) << "p50";
  EXPECT_EQ(ttft.series[1].points.size(), 0u) << "p95";
  ASSERT_EQ(FrontierChart({&run, 1}).series[0].points.size(), 1u);
  EXPECT_EQ(FrontierChart({&run, 1}).series[0].points[0].tooltip,
            "c=8: 100.0 tok/s/user, 200.0 tok/s/GPU, TTFT p50 58.0 ms, TPOT p50 10.00 ms");
}

TEST(ImportedReport, APointOfUnknownSpeedIsOnNoFrontier) {
  SweepReport sweep = Published();
  sweep.mutable_points(0)->mutable_streaming_metrics()->set_token_output_speed_tok_s(0);
  EXPECT_THAT(OnFrontier(sweep), ::testing::ElementsAre(false));
  const ReportedRun run = RunOf(sweep);
  EXPECT_FALSE(HasPoints(FrontierChart({&run, 1})));
}

TEST(ImportedReport, ThePageSaysWhereItsFiguresComeFrom) {
  const ReportedRun run = RunOf(Published());
  const std::string page = RenderHtml({&run, 1});
  EXPECT_THAT(page, HasSubstr("Imported from inferencex: agg.json; published by example.org; "
                              "speed per user is 1 / median TPOT"));
  EXPECT_THAT(page, HasSubstr("<td>-</td></tr>")) << "failures";
  EXPECT_THAT(page, Not(HasSubstr("max batch size")));
  EXPECT_THAT(page, Not(HasSubstr(">Regatta  ()")));
}

}  // namespace
}  // namespace regatta
