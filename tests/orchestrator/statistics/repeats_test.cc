// The median run of each point and the intervals over runs.
#include "orchestrator/statistics/repeats.h"

#include <gtest/gtest.h>

#include "orchestrator/statistics/search_role.h"

namespace regatta {
namespace {

PointReport& AddRun(uint32_t concurrency, uint32_t repeat, double throughput, SweepReport& sweep) {
  PointReport& run = *sweep.add_runs();
  run.mutable_regatta()->set_concurrency(concurrency);
  run.mutable_regatta()->set_repeat(repeat);
  run.mutable_request_info()->set_num_requests(10);
  run.mutable_performance()->set_system_output_throughput_tok_s(throughput);
  return run;
}

const Interval* IntervalOf(const PointRepeats& repeats, const std::string& metric) {
  for (const Interval& interval : repeats.intervals()) {
    if (interval.metric() == metric) return &interval;
  }
  return nullptr;
}

TEST(SummarizeRunsTest, KeepsTheMedianRunOfEachPointInOrderOfConcurrency) {
  SweepReport sweep;
  AddRun(8, 1, 300, sweep);
  AddRun(1, 1, 100, sweep);
  AddRun(8, 2, 100, sweep);
  AddRun(8, 3, 200, sweep);
  AddRun(1, 2, 120, sweep);
  SummarizeRuns(sweep);
  ASSERT_EQ(sweep.points_size(), 2);
  EXPECT_EQ(sweep.points(0).regatta().concurrency(), 1u);
  EXPECT_EQ(sweep.points(0).regatta().repeat(), 1u);  // the lower one of two
  EXPECT_EQ(sweep.points(1).regatta().repeat(), 3u);
  EXPECT_EQ(sweep.repeats(1).runs(), 3u);
  EXPECT_EQ(sweep.repeats(1).intervals_size(), 0);  // too few
  EXPECT_EQ(sweep.runs_size(), 5);
}

TEST(SummarizeRunsTest, FiveRunsGiveIntervals) {
  SweepReport sweep;
  for (uint32_t i = 1; i <= 5; ++i) AddRun(4, i, 8 + 2 * i, sweep);
  SummarizeRuns(sweep);
  SummarizeRuns(sweep);  // again, as after each run: from the runs alone
  ASSERT_EQ(sweep.points_size(), 1);
  const Interval* interval = IntervalOf(sweep.repeats(0), "system_output_throughput_tok_s");
  ASSERT_NE(interval, nullptr);
  EXPECT_DOUBLE_EQ(interval->mean(), 14);
  EXPECT_NEAR(interval->high(), 14 + 2.776445 * 1.414214, 1e-4);
  EXPECT_EQ(IntervalOf(sweep.repeats(0), "avg_ttft_ms"), nullptr);  // not streamed
}

TEST(SummarizeRunsTest, RatesAreDifferentPoints) {
  SweepReport sweep;
  for (const double rate : {80.0, 20.0, 80.0, 20.0}) {
    AddRun(0, 1, rate, sweep).mutable_regatta()->mutable_load()->set_request_rate(rate);
  }
  SummarizeRuns(sweep);
  ASSERT_EQ(sweep.points_size(), 2);
  EXPECT_EQ(sweep.points(0).regatta().load().request_rate(), 20);
  EXPECT_EQ(sweep.points(1).regatta().load().request_rate(), 80);
  EXPECT_EQ(sweep.repeats(0).request_rate(), 20);
  EXPECT_EQ(sweep.repeats(1).runs(), 2u);
}

TEST(SummarizeRunsTest, RunsWithFailuresEnterNoIntervalAndHideNoGoodRun) {
  SweepReport sweep;
  for (uint32_t i = 1; i <= 5; ++i) AddRun(4, i, 10, sweep);
  PointReport& dead = AddRun(4, 6, 0, sweep);
  dead.mutable_request_info()->set_num_requests(0);
  dead.mutable_regatta()->set_failed_requests(30);
  AddRun(4, 7, 500, sweep).mutable_regatta()->set_failed_requests(28);
  SummarizeRuns(sweep);
  ASSERT_EQ(sweep.points_size(), 1);
  EXPECT_EQ(sweep.points(0).regatta().failed_requests(), 0u);
  const PointRepeats& repeats = sweep.repeats(0);
  EXPECT_EQ(repeats.runs(), 7u);
  EXPECT_EQ(repeats.failed_runs(), 2u);
  EXPECT_EQ(repeats.failed_requests(), 58u);
  EXPECT_DOUBLE_EQ(IntervalOf(repeats, "system_output_throughput_tok_s")->mean(), 10);
  EXPECT_DOUBLE_EQ(IntervalOf(repeats, "system_output_throughput_tok_s")->high(), 10);
}

// Only runs in blocks of drawn order are samples of one another.
TEST(SummarizeRunsTest, RunsThatConfirmOrOverloadEnterNoInterval) {
  SweepReport sweep;
  for (uint32_t i = 1; i <= 6; ++i) {
    AddRun(4, i, 10 + i, sweep)
        .mutable_regatta()
        ->set_search_role(i == 1  ? kSearchRole
                          : i < 6 ? kConfirmRole
                                  : kOverloadRole);
  }
  SummarizeRuns(sweep);
  EXPECT_EQ(sweep.repeats(0).runs(), 6u);
  EXPECT_EQ(sweep.repeats(0).intervals_size(), 0);
  EXPECT_EQ(sweep.points(0).regatta().repeat(), 3u);  // of all
  for (uint32_t i = 2; i <= 5; ++i) AddRun(4, i, 10, sweep);
  SummarizeRuns(sweep);
  ASSERT_GT(sweep.repeats(0).intervals_size(), 0);
  EXPECT_EQ(sweep.repeats(0).intervals(0).samples(), 5u);
}

TEST(SummarizeRunsTest, TheRunsOfAPointAreThoseItIsMadeOf) {
  SweepReport sweep;
  AddRun(4, 1, 10, sweep);
  AddRun(8, 1, 10, sweep);
  AddRun(4, 2, 12, sweep);
  AddRun(4, 3, 90, sweep).mutable_regatta()->set_search_role(kTunedRole);
  AddRun(4, 4, 90, sweep).mutable_regatta()->set_layout("tp2");
  SummarizeRuns(sweep);
  const auto runs = RunsOfPoint(sweep, sweep.points(0));
  ASSERT_EQ(runs.size(), 2u);
  EXPECT_EQ(runs[1], &sweep.runs(2));
  sweep.clear_runs();  // none was repeated
  EXPECT_EQ(RunsOfPoint(sweep, sweep.points(0)).size(), 1u);
}

}  // namespace
}  // namespace regatta
