// Goals: their names and bounds, what a point misses, which point is best.
#include "orchestrator/search/goal.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace regatta {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// A load at which everybody runs.
PointReport Point(uint32_t concurrency, double speed, double ttft_ms, double gpu_throughput) {
  PointReport point;
  point.mutable_request_info()->set_num_requests(10 * concurrency);
  point.mutable_request_info()->set_avg_num_concurrent_requests(concurrency);
  point.mutable_streaming_metrics()->set_token_output_speed_tok_s(speed);
  point.mutable_performance()->set_output_throughput_per_gpu_tok_s(gpu_throughput);
  RegattaInfo& info = *point.mutable_regatta();
  info.set_concurrency(concurrency);
  info.set_mean_running(concurrency);
  info.set_p5_user_speed_tok_s(0.9 * speed);
  info.set_p95_ttft_ms(ttft_ms);
  return point;
}

uint32_t Best(const Goal& goal, const std::vector<PointReport>& points) {
  std::vector<const PointReport*> pointers;
  for (const PointReport& point : points) pointers.push_back(&point);
  const PointReport* best = BestPoint(goal, pointers);
  return best == nullptr ? 0 : best->regatta().concurrency();
}

Goal Make(const char* name, std::optional<double> speed = {}, std::optional<double> ttft = {}) {
  const absl::StatusOr<Goal> goal = MakeGoal(name, speed, ttft);
  EXPECT_TRUE(goal.ok()) << goal.status();
  return goal.value_or(Goal());
}

TEST(GoalTest, HasTheUsualBoundsUnlessTheyAreGiven) {
  EXPECT_EQ(DescribeGoal(Make("user-speed")),
            "most users with at least 50 tok/s each and 95 % of first tokens within 2000 ms");
  EXPECT_EQ(DescribeGoal(Make("user-speed", 20, 100)),
            "most users with at least 20 tok/s each and 95 % of first tokens within 100 ms");
  EXPECT_EQ(DescribeGoal(Make("throughput")), "most output tokens per second and GPU");
  EXPECT_EQ(DescribeGoal(Make("throughput", 20)),
            "most output tokens per second and GPU with at least 20 tok/s each");
  EXPECT_EQ(DescribeGoal(Make("ttft")), "most users with 95 % of first tokens within 500 ms");
  for (const char* name : {"user-speed", "throughput", "ttft"}) {
    EXPECT_EQ(GoalName(Make(name)), name);
  }
}

TEST(GoalTest, AnUnknownOneIsRefusedWithThoseThereAre) {
  EXPECT_THAT(std::string(MakeGoal("speed", {}, {}).status().message()),
              HasSubstr("--goal 'speed': must be user-speed"));
}

TEST(GoalTest, UserSpeedTakesTheMostUsersThatAllGetIt) {
  const std::vector<PointReport> points = {Point(64, 70, 100, 10), Point(1, 90, 10, 1),
                                           Point(128, 55, 300, 20), Point(96, 60, 200, 15)};
  EXPECT_EQ(Best(Make("user-speed"), points), 96u);  // of 128 the slowest get 49.5
  EXPECT_EQ(Best(Make("user-speed", 40), points), 128u);
  EXPECT_EQ(Best(Make("user-speed", 40, 250), points), 96u);
  EXPECT_EQ(Best(Make("user-speed", 100), points), 0u);
}

TEST(GoalTest, UsersThatWaitAreNotServed) {
  std::vector<PointReport> points = {Point(64, 70, 100, 10)};
  points[0].mutable_regatta()->set_mean_running(50);
  EXPECT_EQ(Best(Make("user-speed"), points), 0u);
  EXPECT_THAT(MissedBy(Make("user-speed"), points[0]).text, HasSubstr("50.00 ran on average"));
  EXPECT_EQ(Best(Make("throughput"), points), 64u);
}

TEST(GoalTest, ThroughputTakesTheSmallestLoadOfThePlateau) {
  const std::vector<PointReport> points = {Point(1, 90, 10, 10), Point(64, 70, 100, 98.5),
                                           Point(128, 40, 900, 100), Point(256, 20, 3000, 99)};
  EXPECT_EQ(Best(Make("throughput"), points), 64u);
  EXPECT_EQ(Best(Make("throughput", 80), points), 1u);
  EXPECT_EQ(Best(Make("throughput", {}, 5), points), 0u);
}

TEST(GoalTest, TtftTakesTheMostUsersInTimeWhateverTheirSpeed) {
  const std::vector<PointReport> points = {Point(1, 90, 10, 10), Point(64, 7, 499, 98),
                                           Point(128, 4, 501, 100)};
  EXPECT_EQ(Best(Make("ttft"), points), 64u);
  EXPECT_EQ(Best(Make("ttft", 20), points), 1u);
}

TEST(GoalTest, FailuresAndSilenceServeNoGoal) {
  std::vector<PointReport> points = {Point(64, 70, 100, 10), Point(1, 90, 10, 1)};
  points[0].mutable_regatta()->set_failed_requests(1);
  points[1].mutable_request_info()->set_num_requests(0);
  for (const char* name : {"user-speed", "throughput", "ttft"}) {
    EXPECT_EQ(Best(Make(name), points), 0u) << name;
  }
}

TEST(GoalTest, TheSearchSeesAnObjectivePerBoundedGoal) {
  const PointReport point = Point(64, 70, 100, 10);
  const std::vector<Goal> goals = {Make("user-speed"), Make("throughput"), Make("user-speed", 80)};
  const MeasuredLoad load = AsMeasuredLoad(point, goals);
  EXPECT_EQ(load.concurrency, 64u);
  EXPECT_EQ(load.throughput, 10);
  EXPECT_EQ(load.user_speed, 70);
  EXPECT_THAT(load.meets, ElementsAre(true, false));
  EXPECT_THAT(AsMeasuredLoad(point, {}).meets, IsEmpty());
}

}  // namespace
}  // namespace regatta
