// The section of our own figures: what is there is shown, what is not known is not.
#include "orchestrator/report/terminal_figures.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "orchestrator/report/html_page.h"
#include "orchestrator/report/report.h"

namespace regatta {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

PointReport Measured() {
  PointReport point;
  point.mutable_request_info()->set_num_requests(40);
  point.mutable_performance()->set_total_latency_ms(10'000);
  point.mutable_performance()->set_system_output_throughput_tok_s(900);
  RegattaInfo& info = *point.mutable_regatta();
  info.mutable_latency_scheduled_ms()->set_p99(123.5);
  info.mutable_ttft_scheduled_ms()->set_p95(45);
  info.mutable_icl_ms();
  SteadyWindow& window = *info.mutable_steady_window();
  window.set_found(true);
  window.set_start_ms(1000);
  window.set_end_ms(9000);
  window.set_output_throughput_tok_s(1000);
  CertifiedTail& tail = *info.add_tails();
  tail.set_metric("ttft_ms");
  tail.set_quantile(0.99);
  tail.set_samples(40);
  tail.set_samples_needed(662);
  tail.set_estimate(50);
  return point;
}

TEST(FiguresSectionTest, AReportWithoutThemHasNoSection) {
  EXPECT_EQ(FiguresSection(PointReport()), "");
}

TEST(FiguresSectionTest, WholeRunAndSteadyWindowStandSideBySide) {
  const std::string text = FiguresSection(Measured());
  EXPECT_THAT(text, HasSubstr("= MEASUREMENT DETAILS\n"));
  EXPECT_THAT(text, HasSubstr("-- Steady window: 8.00 s of 10.00 s, from 1.00 s"));
  EXPECT_THAT(text, HasSubstr("(tokens/sec)             900.0000      1000.0000\n"));
  EXPECT_THAT(text,
              HasSubstr("ttft_ms p99                     50.0000, uncertified: 40 of 662 samples"));
  for (const char* absent : {"Server:", "Goodput", "Energy", "Cost", "Idle GPUs"}) {
    EXPECT_THAT(text, Not(HasSubstr(absent)));
  }
  EXPECT_THAT(RenderTerminalReport(Measured()), HasSubstr(text));
}

TEST(FiguresSectionTest, WhatATemplateAddsToPromptsIsShown) {
  PointReport point = Measured();
  point.mutable_request_info()->set_avg_input_length(129);
  point.mutable_regatta()->set_asked_input_length(129);
  EXPECT_THAT(FiguresSection(point), Not(HasSubstr("Prompt tokens")));
  point.mutable_regatta()->set_asked_input_length(128);
  EXPECT_THAT(FiguresSection(point),
              HasSubstr("Prompt tokens: 129.0000 by the server's count, 128.0000 were sent\n"));
}

TEST(FiguresSectionTest, WhatWasAskedForIsShown) {
  PointReport point = Measured();
  RegattaInfo& info = *point.mutable_regatta();
  info.mutable_steady_window()->set_found(false);
  info.mutable_steady_window()->set_why_not("the token rate does not settle");
  info.mutable_tails(0)->set_bound(61.25);
  Objective& objective = *info.mutable_goodput()->add_objectives();
  objective.set_metric("ttft");
  objective.set_limit_ms(500);
  info.mutable_goodput()->set_request_goodput_req_s(7.5);
  info.mutable_cost()->set_gpu_hour_price(2.5);
  info.mutable_cost()->set_gpus(4);
  info.mutable_cost()->set_per_million_output_tokens(0.75);
  info.set_idle_gpus(3);
  info.mutable_energy()->set_joules_per_output_token(0.4);
  info.mutable_latency_split()->set_requests(1);
  const std::string text = FiguresSection(point);
  EXPECT_THAT(text, HasSubstr("Steady window: none, the token rate does not settle"));
  EXPECT_THAT(text, HasSubstr("50.0000, at most 61.2500 with 99 % confidence"));
  EXPECT_THAT(text, HasSubstr("-- Goodput: ttft <= 500 ms"));
  EXPECT_THAT(text, HasSubstr("-- Cost at 2.5 per GPU and hour, 4 GPUs"));
  EXPECT_THAT(text, HasSubstr("Per million output tokens, idle GPUs too"));
  EXPECT_THAT(text, HasSubstr("Idle GPUs of the pool, in no per-GPU figure: 3"));
  EXPECT_THAT(text, HasSubstr("Energy per output token (J)                        0.4000"));
  EXPECT_THAT(text, HasSubstr("Server: prefill"));
}

TEST(SweepFiguresTest, IntervalsAndUsersAreBelowTheTable) {
  SweepReport sweep;
  EXPECT_EQ(SweepFigures(sweep), "");
  PointRepeats& few = *sweep.add_repeats();
  few.set_concurrency(1);
  few.set_runs(2);
  few.set_failed_runs(1);
  PointRepeats& enough = *sweep.add_repeats();
  enough.set_concurrency(8);
  enough.set_runs(5);
  Interval& interval = *enough.add_intervals();
  interval.set_metric("avg_ttft_ms");
  interval.set_mean(14);
  interval.set_low(13);
  interval.set_high(15);
  interval.set_confidence(0.95);
  UsersAtSpeed& users = *sweep.add_users_at_speed();
  users.set_speed_tok_s(50);
  users.set_max_ttft_ms(2000);
  users.set_users(8);
  users.set_limited_by("c=16: mean speed 40.0 tok/s, below 50");
  const std::string text = SweepFigures(sweep);
  EXPECT_THAT(text, HasSubstr("Too few runs of a point for intervals: --repeats 5"));
  EXPECT_THAT(text, HasSubstr("! c=1: requests failed in 1 of 2 runs, which are left out"));
  EXPECT_THAT(text, HasSubstr("c=8: 5 runs, 95 % intervals of the mean"));
  EXPECT_THAT(text, HasSubstr("14.0000 [13.0000, 15.0000]"));
  EXPECT_THAT(text, HasSubstr("Users at 50 tok/s each (p95 TTFT <= 2000 ms): 8; c=16: mean speed"));
  EXPECT_THAT(RenderSweepOverview(sweep, /*color=*/false, 80), HasSubstr(text));
  ReportedRun run;
  run.sweep = sweep;
  EXPECT_THAT(RenderHtml({&run, 1}),
              HasSubstr("Users at 50 tok/s each (p95 TTFT &lt;= 2000 ms): 8"));
  sweep.mutable_users_at_speed(0)->clear_limited_by();
  EXPECT_THAT(SweepFigures(sweep), HasSubstr("ms): 8, the largest concurrency measured\n"));
  sweep.mutable_search();
  EXPECT_THAT(SweepFigures(sweep), HasSubstr("ms): 8, the largest concurrency searched\n"));
  sweep.mutable_users_at_speed(0)->clear_users();  // rates alone were measured
  EXPECT_THAT(SweepFigures(sweep),
              HasSubstr("ms): none, an open loop has no users; --concurrency measures a closed"));
  run.sweep = SweepReport();
  EXPECT_THAT(RenderHtml({&run, 1}), Not(HasSubstr("Repeats and users")));
}

}  // namespace
}  // namespace regatta
