// The median run of each point and the intervals over runs.
#include "orchestrator/statistics/repeats.h"

#include <gtest/gtest.h>

namespace regatta {
namespace {

void AddRun(uint32_t concurrency, uint32_t repeat, double throughput, SweepReport& sweep) {
  PointReport& run = *sweep.add_runs();
  run.mutable_regatta()->set_concurrency(concurrency);
  run.mutable_regatta()->set_repeat(repeat);
  run.mutable_performance()->set_system_output_throughput_tok_s(throughput);
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
  const Interval* interval = FindInterval(sweep, 4, "system_output_throughput_tok_s");
  ASSERT_NE(interval, nullptr);
  EXPECT_DOUBLE_EQ(interval->mean(), 14);
  EXPECT_NEAR(interval->high(), 14 + 2.776445 * 1.414214, 1e-4);
  EXPECT_EQ(FindInterval(sweep, 4, "avg_ttft_ms"), nullptr);  // not streamed
  EXPECT_EQ(FindInterval(sweep, 5, "system_output_throughput_tok_s"), nullptr);
}

}  // namespace
}  // namespace regatta
