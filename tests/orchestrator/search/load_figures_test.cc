// Means over runs, and when tuned runs are worse.
#include "orchestrator/search/load_figures.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <deque>
#include <vector>

namespace regatta {
namespace {

using ::testing::HasSubstr;

constexpr Goal kGoal = {Goal::Kind::kUserSpeed, 50, 2000};

// Runs of one load that differ in speed and TTFT.
class RunSet {
 public:
  explicit RunSet(const std::vector<double>& speeds, double ttft_ms = 100) {
    for (const double speed : speeds) Add(speed, ttft_ms);
  }
  PointReport& Add(double speed, double ttft_ms) {
    PointReport& run = runs_.emplace_back();
    run.mutable_request_info()->set_num_requests(10);
    run.mutable_request_info()->set_avg_num_concurrent_requests(8);
    run.mutable_streaming_metrics()->set_token_output_speed_tok_s(speed);
    run.mutable_streaming_metrics()->set_avg_ttft_ms(ttft_ms / 2);
    run.mutable_performance()->set_output_throughput_per_gpu_tok_s(8 * speed);
    run.mutable_regatta()->set_concurrency(8);
    run.mutable_regatta()->set_mean_running(8);
    run.mutable_regatta()->set_p5_user_speed_tok_s(speed);
    run.mutable_regatta()->set_p95_ttft_ms(ttft_ms);
    pointers_.push_back(&run);
    return run;
  }
  operator Runs() const { return pointers_; }

 private:
  std::deque<PointReport> runs_;
  std::vector<const PointReport*> pointers_;
};

TEST(LoadFiguresTest, AreMeansWithIntervals) {
  const LoadFigures figures = FiguresOf(kGoal, RunSet({60, 62, 64}));
  EXPECT_EQ(figures.concurrency(), 8u);
  EXPECT_EQ(figures.runs(), 3u);
  EXPECT_EQ(figures.runs_meeting(), 3u);
  EXPECT_EQ(figures.missed(), "");
  EXPECT_DOUBLE_EQ(figures.user_speed_tok_s(), 62);
  EXPECT_DOUBLE_EQ(figures.output_throughput_per_gpu_tok_s(), 496);
  EXPECT_DOUBLE_EQ(figures.p95_ttft_ms(), 100);
  ASSERT_EQ(figures.intervals_size(), 4);
  EXPECT_EQ(figures.intervals(1).metric(), "user_speed_tok_s");
  EXPECT_NEAR(figures.intervals(1).high(), 62 + 4.302653 * 2 / std::sqrt(3.0), 1e-4);
}

TEST(LoadFiguresTest, OneRunHasNoInterval) {
  EXPECT_EQ(FiguresOf(kGoal, RunSet({60})).intervals_size(), 0);
}

TEST(LoadFiguresTest, TheGoalIsMissedUnlessMostRunsMeetIt) {
  EXPECT_EQ(FiguresOf(kGoal, RunSet({49, 60, 60})).missed(), "");
  EXPECT_EQ(FiguresOf(kGoal, RunSet({49, 60, 60})).runs_meeting(), 2u);
  EXPECT_EQ(FiguresOf(kGoal, RunSet({49, 60, 60})).missed_condition(), CONDITION_NONE);
  EXPECT_THAT(FiguresOf(kGoal, RunSet({49, 60})).missed(), HasSubstr("mean speed 49.0"));
  EXPECT_EQ(FiguresOf(kGoal, RunSet({49, 60})).missed_condition(), CONDITION_SPEED);
}

TEST(LoadFiguresTest, FailedRequestsAreCountedOverAllRuns) {
  RunSet runs({60, 60, 60});
  runs.Add(60, 100).mutable_regatta()->set_failed_requests(2);
  EXPECT_EQ(FiguresOf(kGoal, runs).failed_requests(), 2u);
  EXPECT_EQ(FiguresOf(kGoal, runs).missed(), "");
}

TEST(WorseFigureTest, IsOneWhoseIntervalLiesOnTheBadSide) {
  const RunSet before({60, 61, 62});
  EXPECT_THAT(WorseFigure(kGoal, before, RunSet({55, 56, 57})),
              HasSubstr("tok/s per user went from 61.00 to 56.00, by -5.00 +- 2.27"));
  EXPECT_EQ(WorseFigure(kGoal, before, RunSet({65, 66, 67})), "");  // better
  EXPECT_EQ(WorseFigure(kGoal, before, RunSet({59, 60, 61})), "");  // within the noise
}

TEST(WorseFigureTest, LooksAtWhatTheGoalIsAbout) {
  const RunSet before({60, 60.1, 59.9}, 100);
  EXPECT_THAT(WorseFigure(kGoal, before, RunSet({60, 60.1, 59.9}, 150)), HasSubstr("p95 TTFT"));
  EXPECT_EQ(WorseFigure({Goal::Kind::kThroughput}, before, RunSet({60, 60.1, 59.9}, 150)), "");
  EXPECT_EQ(WorseFigure({Goal::Kind::kTtft, 0, 500}, before, RunSet({50, 51, 49}, 100)), "");
  EXPECT_THAT(WorseFigure({Goal::Kind::kThroughput}, before, RunSet({50, 51, 49}, 100)),
              HasSubstr("output tok/s per GPU"));
}

TEST(WorseFigureTest, AnEdgeThatIsMissedByChanceIsNotButFailuresAre) {
  const RunSet before({50, 51, 52});
  RunSet after({49, 49.5, 52});
  EXPECT_THAT(FiguresOf(kGoal, after).missed(), HasSubstr("mean speed 49.0"));
  EXPECT_EQ(WorseFigure(kGoal, before, after), "");
  after.Add(52, 100).mutable_regatta()->set_failed_requests(3);
  EXPECT_EQ(WorseFigure(kGoal, before, after), "failed requests: 3");
}

TEST(WorseFigureTest, TheSlowestUsersCount) {
  const RunSet before({60, 60.1, 59.9});
  RunSet after({});
  for (const double p5 : {50, 51, 52}) {
    after.Add(60, 100).mutable_regatta()->set_p5_user_speed_tok_s(p5);
  }
  EXPECT_THAT(WorseFigure(kGoal, before, after), HasSubstr("slowest twentieth went from 60.00"));
}

}  // namespace
}  // namespace regatta
