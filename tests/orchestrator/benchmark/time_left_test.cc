// What is left of a run, by hand.
#include "orchestrator/benchmark/time_left.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace regatta {
namespace {

// Ten of forty requests ended within 5 s, four at a time: 2 a second, 2 s each.
LoadProgress Quarter() {
  LoadProgress progress;
  progress.total = 40;
  progress.completed = 9;
  progress.failed = 1;
  progress.in_flight = 4;
  progress.elapsed_s = 5;
  return progress;
}

TEST(TimeLeftTest, OfTheLoadFromItsOwnPace) {
  const auto left = EstimateTimeLeft(Quarter(), {.now = {4, 40}});
  ASSERT_TRUE(left.has_value());
  EXPECT_DOUBLE_EQ(left->load_s, 15);
  EXPECT_FALSE(left->run.has_value()) << "nothing is known to follow";
}

TEST(TimeLeftTest, NothingIsSaidBeforeTheFirstEndAndAfterTheLast) {
  LoadProgress progress = Quarter();
  progress.completed = progress.failed = 0;
  EXPECT_FALSE(EstimateTimeLeft(progress, {}).has_value());
  progress.completed = 40;
  EXPECT_FALSE(EstimateTimeLeft(progress, {}).has_value());
}

TEST(TimeLeftTest, OfTheRunFromThePresentPaceWhereNothingElseIsKnown) {
  const auto left = EstimateTimeLeft(Quarter(), {.now = {4, 40}, .after = {{16, 160}}});
  ASSERT_TRUE(left.has_value() && left->run.has_value());
  EXPECT_DOUBLE_EQ(left->run->low_s, 15 + 10 * 2) << "ten rounds at the latency of now";
  EXPECT_DOUBLE_EQ(left->run->high_s, 15 + 160 / 2.0) << "at the throughput of now";
}

TEST(TimeLeftTest, WhatIsOnlyExpectedMakesItAbout) {
  const auto left = EstimateTimeLeft(
      Quarter(), {.now = {4, 40}, .after = {{4, 40}}, .expected = {{4, 80}}, .beside_s = 7});
  ASSERT_TRUE(left.has_value() && left->run.has_value());
  EXPECT_TRUE(left->about);
  EXPECT_DOUBLE_EQ(left->run->low_s, 15 + 20 + 40 + 7);
  EXPECT_FALSE(EstimateTimeLeft(Quarter(), {.now = {4, 40}, .after = {{4, 40}}})->about);
}

TEST(TimeLeftTest, WhatWasMeasuredCountsForItsLikes) {
  const RunAhead ahead = {.now = {4, 40}, .after = {{16, 160}}, .known = {{16, 8.0, 2.0}}};
  const auto left = EstimateTimeLeft(Quarter(), ahead);
  ASSERT_TRUE(left.has_value() && left->run.has_value());
  EXPECT_DOUBLE_EQ(left->run->low_s, 15 + 20);
  EXPECT_DOUBLE_EQ(left->run->high_s, 15 + 20);
}

// Three of 64 that are in flight say nothing of the others.
TEST(TimeLeftTest, AFirstRoundUnderWayIsNotExtrapolated) {
  LoadProgress progress = Quarter();
  progress.in_flight = 64;
  EXPECT_FALSE(EstimateTimeLeft(progress, {.after = {{4, 40}}})->run.has_value());
}

TEST(TimeLeftTest, ALimitOnTimeCutsTheLoad) {
  EXPECT_DOUBLE_EQ(EstimateTimeLeft(Quarter(), {.max_s_per_point = 8})->load_s, 3);
}

TEST(SpeedsTest, OfRunsInWhichSomethingCompleted) {
  SweepReport sweep;
  sweep.add_points()->mutable_regatta()->set_concurrency(2);  // nothing completed
  PointReport& point = *sweep.add_points();
  point.mutable_regatta()->set_concurrency(8);
  point.mutable_request_info()->set_num_requests(80);
  point.mutable_performance()->set_request_throughput_req_s(4);
  point.mutable_performance()->set_avg_request_latency_ms(1900);
  const std::vector<SpeedSample> speeds = SpeedsOf(sweep);
  ASSERT_EQ(speeds.size(), 1u);
  EXPECT_EQ(speeds[0].concurrency, 8u);
  EXPECT_DOUBLE_EQ(speeds[0].requests_per_s, 4);
  EXPECT_DOUBLE_EQ(speeds[0].latency_s, 1.9);
}

TEST(FormatRangeTest, OneFigureWhereBothReadAlike) {
  EXPECT_EQ(FormatRange({30.2, 30.4}), "30 s");
  EXPECT_EQ(FormatRange({60, 300}), "60 s to 5 min");
  EXPECT_EQ(FormatRange({60, 300}, /*about=*/true), "about 60 s to 5 min");
  EXPECT_EQ(FormatAhead({{4, 40}}, {10, 10}, 0, false), "1 point, 40 requests: 10 s\n");
  EXPECT_EQ(FormatAhead({{4, 40}, {8, 80}}, {10, 10}, 5, true),
            "about 2 points, 120 requests: about 15 s\n");
}

}  // namespace
}  // namespace regatta
