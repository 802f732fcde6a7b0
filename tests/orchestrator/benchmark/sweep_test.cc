// Concurrency lists, request counts and time estimates.
#include "orchestrator/benchmark/sweep.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace regatta {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(ParseConcurrencyTest, ListsRangesAndMixes) {
  EXPECT_THAT(*ParseConcurrency("1,2,4"), ElementsAre(1, 2, 4));
  EXPECT_THAT(*ParseConcurrency("1:16:x2"), ElementsAre(1, 2, 4, 8, 16));
  EXPECT_THAT(*ParseConcurrency("3:20:x2"), ElementsAre(3, 6, 12));
  EXPECT_THAT(*ParseConcurrency("1:5:+2"), ElementsAre(1, 3, 5));
  EXPECT_THAT(*ParseConcurrency("8, 1:4:x2 ,4"), ElementsAre(1, 2, 4, 8));
  EXPECT_THAT(*ParseConcurrency("65536"), ElementsAre(65536));
}

TEST(ParseConcurrencyTest, ErrorsNameThePartTheValueAndTheLimit) {
  const auto message = [](const char* text) {
    const auto points = ParseConcurrency(text);
    EXPECT_EQ(points.status().code(), absl::StatusCode::kInvalidArgument) << text;
    return std::string(points.status().message());
  };
  EXPECT_THAT(message(""), HasSubstr("value 1 is empty"));
  EXPECT_THAT(message("1,,2"), HasSubstr("value 2 is empty"));
  EXPECT_THAT(message("1,a"), HasSubstr("'a': 'a' is not a number"));
  EXPECT_THAT(message("0"), HasSubstr("0 is not in 1..65536"));
  EXPECT_THAT(message("-4"), HasSubstr("-4 is not in 1..65536"));
  EXPECT_THAT(message("65537"), HasSubstr("65537 is not in 1..65536"));
  EXPECT_THAT(message("99999999999999999999"), HasSubstr("is not a number"));
  EXPECT_THAT(message("1:8"), HasSubstr("three fields"));
  EXPECT_THAT(message("8:1:x2"), HasSubstr("the end 1 is below 8"));
  EXPECT_THAT(message("1:8:2"), HasSubstr("neither x nor +"));
  EXPECT_THAT(message("1:8:x1"), HasSubstr("at least 2"));
  EXPECT_THAT(message("1:8:+0"), HasSubstr("0 is not in 1..65536"));
  EXPECT_THAT(message("1:65536:+1"), HasSubstr("65536 points are more than 1000"));
}

TEST(PlanPointsTest, TenPerUserAtLeastThirtyTwoOrAsAsked) {
  const auto points = PlanPoints({1, 3, 4, 64}, 0);
  ASSERT_TRUE(points.ok());
  EXPECT_EQ((*points)[0].requests, 32u);
  EXPECT_EQ((*points)[1].requests, 32u);
  EXPECT_EQ((*points)[2].requests, 40u);
  EXPECT_EQ((*points)[3].requests, 640u);
  EXPECT_EQ((*PlanPoints({1, 8}, 8))[1].requests, 8u);
  const auto refused = PlanPoints({1, 8}, 7);
  EXPECT_THAT(std::string(refused.status().message()),
              HasSubstr("--num-requests is 7, must be at least the concurrency 8"));
}

TEST(EstimateSecondsTest, BetweenConstantLatencyAndConstantThroughput) {
  const std::vector<LoadPoint> points = {{1, 10}, {4, 40}};
  const std::vector<SpeedSample> known = {{1, 2.0, 0.5}};
  const TimeEstimate estimate = EstimateSeconds(points, known, 0);
  EXPECT_DOUBLE_EQ(estimate.low_s, 5 + 5);
  EXPECT_DOUBLE_EQ(estimate.high_s, 5 + 20);
  const TimeEstimate cut = EstimateSeconds(points, known, 3);
  EXPECT_DOUBLE_EQ(cut.low_s, 3.5 + 3.5);
  EXPECT_DOUBLE_EQ(cut.high_s, 3.5 + 5);
}

TEST(EstimateSecondsTest, ALoadThatWasMeasuredTakesAsLongAgain) {
  const std::vector<SpeedSample> known = {{1, 2.0, 0.5}, {64, 32.0, 2.0}, {64, 64.0, 1.0}};
  const TimeEstimate again = EstimateSeconds({{64, 640}}, known, 0);
  EXPECT_DOUBLE_EQ(again.low_s, 10) << "from the latest of its kind";
  EXPECT_DOUBLE_EQ(again.high_s, 10);
  const TimeEstimate near = EstimateSeconds({{4, 40}}, known, 0);
  EXPECT_DOUBLE_EQ(near.low_s, 5) << "4 is nearer to 1 than to 64";
  EXPECT_DOUBLE_EQ(near.high_s, 20);
}

TEST(FormatSecondsTest, UnitsFitTheSize) {
  EXPECT_EQ(FormatSeconds(44.6), "45 s");
  EXPECT_EQ(FormatSeconds(185), "3 min");
  EXPECT_EQ(FormatSeconds(7800), "2 h 10 min");
}

}  // namespace
}  // namespace regatta
