// What users wait, what limits figures and whether the client shaped them is seen wherever points
// are.
#include "orchestrator/report/point_notes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "absl/strings/str_cat.h"
#include "orchestrator/report/html_page.h"
#include "orchestrator/report/report.h"
#include "orchestrator/report/sweep_charts.h"

namespace regatta {
namespace {

using ::testing::ContainsRegex;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr char kFromDue[] = "from when requests were due";

// Requests that waited in the client: TTFT of 6 ms from when they were sent, 163 ms from when they
// were due.
ReportedRun OpenLoop() {
  ReportedRun run;
  run.sweep.set_completed(true);
  PointReport& point = *run.sweep.add_points();
  point.mutable_request_info()->set_num_requests(60);
  point.mutable_performance()->set_system_output_throughput_tok_s(100);
  point.mutable_performance()->set_output_throughput_per_gpu_tok_s(100);
  point.mutable_performance()->mutable_request_latency_percentiles_ms()->set_p50(25);
  Percentiles& sent = *point.mutable_streaming_metrics()->mutable_ttft_percentiles();
  RegattaInfo& info = *point.mutable_regatta();
  for (Percentiles* p : {&sent, info.mutable_ttft_scheduled_ms()}) {
    p->set_p50(p == &sent ? 5 : 140);
    p->set_p95(p == &sent ? 6 : 163);
    p->set_p99(p == &sent ? 7 : 170);
  }
  info.mutable_latency_scheduled_ms()->set_p50(188);
  info.set_user_speed_tok_s(90);
  info.set_concurrency(1);
  info.set_run_number(1);
  info.mutable_load()->set_arrival("poisson");
  info.mutable_load()->set_request_rate(40);
  return run;
}

ReportedRun ClosedLoop() {
  ReportedRun run = OpenLoop();
  run.sweep.mutable_points(0)->mutable_regatta()->clear_load();
  return run;
}

std::string Overview(const ReportedRun& run) {
  return RenderSweepOverview(run.sweep, /*color=*/false, /*width=*/100);
}

std::string Page(const ReportedRun& run) { return RenderHtml({&run, 1}); }

// The page without what has to be unfolded and without what only scripts read.
std::string VisibleOf(const std::string& page) { return page.substr(0, page.find("<h2>Reports")); }

TEST(FromDue, TheOverviewShowsWhatUsersWaited) {
  EXPECT_THAT(Overview(OpenLoop()), ContainsRegex("40/s c=1 .* 140.0 ms +163.0 ms"));
  EXPECT_THAT(Overview(OpenLoop()), HasSubstr("TTFT is from when requests were due\n"));
  EXPECT_THAT(Overview(ClosedLoop()), ContainsRegex("c=1 .* 5.0 ms +6.0 ms"));
  EXPECT_THAT(Overview(ClosedLoop()), Not(HasSubstr(kFromDue)));
  EXPECT_THAT(RenderPointLines(OpenLoop().sweep.points(0)),
              HasSubstr("TTFT from when due p95 163.0 ms"));
}

TEST(FromDue, ThePageShowsWhatUsersWaited) {
  const std::string page = Page(OpenLoop()), closed = Page(ClosedLoop());
  EXPECT_THAT(page, HasSubstr("<td>140.0</td><td>163.0</td>"));
  EXPECT_THAT(page, HasSubstr("<td>188.0</td>")) << "latency";
  EXPECT_THAT(page, HasSubstr("TTFT and latency are from when requests were due."));
  EXPECT_THAT(page, HasSubstr("<b>140.0 ms</b><span>lowest median TTFT from when due (40/s c=1)"));
  EXPECT_THAT(closed, HasSubstr("<td>5.0</td><td>6.0</td>"));
  EXPECT_THAT(closed, HasSubstr("<b>5.0 ms</b><span>lowest median TTFT (c=1)"));
  EXPECT_THAT(closed, Not(HasSubstr(kFromDue)));
}

TEST(FromDue, ChartsShowWhatUsersWaited) {
  const ReportedRun run = OpenLoop();
  const Chart chart = TtftChart({&run, 1});
  EXPECT_DOUBLE_EQ(chart.series[1].points[0].y, 163);
  EXPECT_EQ(chart.subtitle, kFromDue);
  EXPECT_THAT(FrontierChart({&run, 1}).series[0].points[0].tooltip,
              HasSubstr("TTFT from when due p50 140.0 ms"));
  const ReportedRun both[] = {OpenLoop(), ClosedLoop()};
  EXPECT_THAT(TtftChart(both).subtitle,
              HasSubstr("; from when requests were due where there is a rate or a trace, else"));
}

// As a file tells it that has no schedule.
ReportedRun Unscheduled() {
  ReportedRun run = OpenLoop();
  RegattaInfo& info = *run.sweep.mutable_points(0)->mutable_regatta();
  info.clear_ttft_scheduled_ms();
  info.clear_latency_scheduled_ms();
  return run;
}

TEST(FromDue, OfRatesWithoutAScheduleItIsSaidThatTheyAreFromWhenSent) {
  constexpr char kSent[] = "from when requests were sent, since it is not known when they were due";
  const ReportedRun alone = Unscheduled();
  EXPECT_EQ(TtftChart({&alone, 1}).subtitle, kSent);
  EXPECT_THAT(Overview(alone), HasSubstr(absl::StrCat("TTFT is ", kSent, "\n")));
  EXPECT_THAT(Page(alone), HasSubstr(absl::StrCat("TTFT and latency are ", kSent, ".")));
  const ReportedRun runs[] = {OpenLoop(), Unscheduled(), ClosedLoop()};
  EXPECT_THAT(
      TtftChart(runs).subtitle,
      HasSubstr("; from when requests were due where there is a rate or a trace, else from "
                "when they were sent; those of B, 40/s c=1 from when they were sent, since it"));
  EXPECT_THAT(
      TtftChart({runs, 2}).subtitle,
      HasSubstr("; from when requests were due; those of B, 40/s c=1 from when they were sent"));
  EXPECT_THAT(
      TtftChart({runs + 1, 2}).subtitle,
      HasSubstr("; from when requests were sent, those of A, 40/s c=1 since it is not known"));
}

TEST(FromDue, ASeriesWithoutAScheduleIsNamedOnce) {
  ReportedRun runs[] = {OpenLoop(), Unscheduled()};
  PointReport& second = *runs[1].sweep.add_points() = runs[1].sweep.points(0);
  second.mutable_regatta()->mutable_load()->set_request_rate(80);
  EXPECT_THAT(TtftChart(runs).subtitle, HasSubstr("; those of B from when they were sent, since"));
}

TEST(FromDue, WithoutATtftNothingIsSaidOfIt) {
  ReportedRun run = OpenLoop();
  run.sweep.mutable_points(0)->clear_streaming_metrics();
  EXPECT_THAT(Overview(run), Not(HasSubstr(kFromDue)));
  EXPECT_THAT(Page(run), HasSubstr("included; percentiles are over requests. Latency is from when "
                                   "requests were due."));
}

TEST(FromDue, TheDistributionShowsWhatUsersWaited) {
  const std::string dir = testing::TempDir() + "/regatta_from_due";
  std::filesystem::create_directories(dir);
  std::ofstream(dir + "/requests.jsonl")
      << R"({"run_number":1,"scheduled_ms":100,"sent_ms":250,"first_token_ms":256,"deltas":3})"
      << "\n";
  for (const bool open : {true, false}) {
    ReportedRun run = open ? OpenLoop() : ClosedLoop();
    run.details = *LoadRunDetails(dir, run.sweep);
    EXPECT_THAT(run.details.points[0].ttft_ms, ElementsAre(open ? 156 : 6));
    EXPECT_EQ(TtftDistribution({&run, 1}).subtitle, open ? kFromDue : "");
  }
  std::filesystem::remove_all(dir);
}

// Figures from when requests were sent stay in their columns, those from when they were due beside.
TEST(FromDue, FilesHaveBoth) {
  for (const std::string& text : {RenderCsv(OpenLoop().sweep), RenderMarkdown(OpenLoop().sweep)}) {
    EXPECT_THAT(text, HasSubstr("ttft_scheduled_p95_ms"));
    EXPECT_THAT(text, ContainsRegex("5(,| [|] )6(,| [|] )7.*140(,| [|] )163(,| [|] )170"));
  }
  EXPECT_THAT(RenderCsv(ClosedLoop().sweep), Not(HasSubstr("163")));
}

TEST(FromDue, TrtllmBenchsBlockKeepsItsDefinition) {
  EXPECT_THAT(RenderTerminalReport(OpenLoop().sweep.points(0)),
              HasSubstr("[TTFT] P95    : 6.0000\n"));
}

// Two points of which both have one warning, and the second another.
ReportedRun Warned() {
  ReportedRun run = ClosedLoop();
  run.sweep.mutable_points(0)->mutable_regatta()->add_warnings("prompts <were> sent before");
  PointReport& other = *run.sweep.add_points() = run.sweep.points(0);
  other.mutable_regatta()->set_concurrency(2);
  other.mutable_regatta()->add_warnings("client-bound: busy");
  *run.sweep.add_points() = ClosedLoop().sweep.points(0);
  run.sweep.mutable_points(2)->mutable_regatta()->set_concurrency(4);
  return run;
}

TEST(Notes, EachIsSaidOnceWithItsPoints) {
  const ReportedRun run = Warned();
  const std::vector<PointNote> notes = NotesOf(SeriesOf({&run, 1}));
  ASSERT_EQ(notes.size(), 2u);
  EXPECT_THAT(notes[0].points, ElementsAre("c=1", "c=2"));
  EXPECT_THAT(notes[1].points, ElementsAre("c=2"));
  const ReportedRun both[] = {Warned(), ClosedLoop()};
  EXPECT_THAT(NotesOf(SeriesOf(both))[1].points, ElementsAre("A, c=2"));
}

TEST(Notes, WhatIsTooShortToTellIsSaid) {
  PointReport point = ClosedLoop().sweep.points(0);
  EXPECT_THAT(NotesOf(point), ElementsAre());
  point.mutable_regatta()->mutable_offered()->set_too_short("5 requests");
  EXPECT_THAT(NotesOf(point), ElementsAre("too short to tell how many ran: 5 requests"));
}

TEST(Notes, TheOverviewMarksPointsAndListsThem) {
  const std::string text = Overview(Warned());
  EXPECT_THAT(text, ContainsRegex("c=1 .*  !\n"));
  EXPECT_THAT(text, ContainsRegex("c=2 .*  !\n"));
  EXPECT_THAT(text, Not(ContainsRegex("c=4 [^\n]*!")));
  EXPECT_THAT(text, HasSubstr("! c=1; c=2: prompts <were> sent before\n"));
  EXPECT_THAT(text, HasSubstr("! c=2: client-bound: busy\n"));
}

TEST(Notes, AreOneLineEachOnTheTerminal) {
  ReportedRun run = ClosedLoop();
  run.sweep.mutable_points(0)->mutable_regatta()->add_warnings("one\ntwo");
  EXPECT_THAT(Overview(run), Not(HasSubstr("one\n")));
  EXPECT_THAT(RenderPointLines(run.sweep.points(0)), Not(HasSubstr("one\n")));
}

TEST(Notes, ThePageMarksPointsAndListsThem) {
  const std::string page = VisibleOf(Page(Warned()));
  EXPECT_THAT(page, HasSubstr(">!</b> c=1</td>"));
  EXPECT_THAT(page, HasSubstr(">!</b> c=2</td>"));
  EXPECT_THAT(page, Not(HasSubstr("</b> c=4")));
  EXPECT_THAT(page, HasSubstr("<li><b>! c=1; c=2</b> prompts &lt;were&gt; sent before</li>"));
  EXPECT_THAT(page, HasSubstr("<li><b>! c=2</b> client-bound: busy</li>"));
  EXPECT_THAT(VisibleOf(Page(ClosedLoop())), Not(HasSubstr("class=\"notes\"")));
}

TEST(ClientVerdict, IsAColumn) {
  ReportedRun run = Warned();
  run.sweep.mutable_points(0)->mutable_regatta()->mutable_client();
  run.sweep.mutable_points(1)->mutable_regatta()->mutable_client()->set_bound(true);
  const std::string page = VisibleOf(Page(run));
  EXPECT_THAT(page, HasSubstr("<th>Client-bound</th></tr>"));
  EXPECT_THAT(page, HasSubstr("<td>no</td></tr>"));
  EXPECT_THAT(page, HasSubstr("<td class=\"bad\">yes</td></tr>"));
  EXPECT_THAT(page, HasSubstr("<td>-</td></tr>")) << "of a point without a verdict";
  EXPECT_THAT(VisibleOf(Page(Warned())), Not(HasSubstr("Client-bound")));
  const std::string csv = RenderCsv(run.sweep);
  EXPECT_THAT(csv, ContainsRegex("client_bound,arrival.*\n1,.*,0,closed-loop,"));
  EXPECT_THAT(csv, ContainsRegex("\n2,[^\n]*,1,closed-loop,[^\n]*\n4,[^\n]*,,closed-loop,"));
  EXPECT_THAT(RenderMarkdown(run.sweep), ContainsRegex("\n[|] 2 [^\n]*[|] 1 [|] closed-loop [|]"));
}

}  // namespace
}  // namespace regatta
