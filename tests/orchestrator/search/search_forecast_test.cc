// What a search will still measure, foretold on a system whose law is known.
#include "orchestrator/search/search_forecast.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace regatta {
namespace {

using ::testing::IsEmpty;
using ::testing::UnorderedElementsAreArray;

// Of users that get 100 tok/s alone and half of that at 33.5: saturates at 3,350 tok/s.
PointReport Point(uint32_t users) {
  PointReport point;
  const double speed = 100 / (1 + users / 33.5);
  point.mutable_request_info()->set_num_requests(10 * users);
  point.mutable_streaming_metrics()->set_token_output_speed_tok_s(speed);
  point.mutable_performance()->set_output_throughput_per_gpu_tok_s(users * speed);
  RegattaInfo& info = *point.mutable_regatta();
  info.set_concurrency(users);
  info.set_p5_user_speed_tok_s(speed);
  info.set_p95_ttft_ms(10.0 * users);
  info.set_mean_running(users);
  return point;
}

// All that the search measures on that system.
std::vector<PointReport> Searched(const SearchLimits& limits, const std::vector<Goal>& goals) {
  std::vector<PointReport> points;
  std::vector<MeasuredLoad> loads;
  for (;;) {
    const NextLoad next = ChooseNextLoad(limits, loads);
    if (!next.concurrency) return points;
    points.push_back(Point(*next.concurrency));
    loads.push_back(AsMeasuredLoad(points.back(), goals));
  }
}

SearchForecast ForecastAfter(size_t count, const SearchLimits& limits,
                             const std::vector<Goal>& goals) {
  const std::vector<PointReport> points = Searched(limits, goals);
  std::vector<const PointReport*> measured;
  for (size_t i = 0; i < count; ++i) measured.push_back(&points[i]);
  return ForecastSearch(limits, goals, measured);
}

class SearchForecastTest : public ::testing::TestWithParam<const char*> {};

// On a system that follows the lines the search is foretold to the load from the third on.
TEST_P(SearchForecastTest, IsExactWhereTheLawHolds) {
  const std::vector<Goal> goals = {*MakeGoal(GetParam(), {}, {})};
  for (const bool whole : {true, false}) {
    SearchLimits limits;
    limits.whole_frontier = whole;
    const std::vector<PointReport> points = Searched(limits, goals);
    ASSERT_GT(points.size(), 4u);
    for (size_t count = 2; count <= points.size(); ++count) {
      const SearchForecast forecast = ForecastAfter(count, limits, goals);
      std::vector<uint32_t> left;
      for (size_t i = count; i < points.size(); ++i) {
        left.push_back(points[i].regatta().concurrency());
      }
      // Gaps of the frontier may be equally wide.
      EXPECT_THAT(forecast.loads, UnorderedElementsAreArray(left)) << count << " are measured";
      EXPECT_EQ(forecast.searched.size(), points.size());
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Goals, SearchForecastTest,
                         ::testing::Values("user-speed", "throughput", "ttft"));

TEST(SearchForecast, SaysNothingBeforeTwoLoads) {
  const std::vector<Goal> goals = {*MakeGoal("user-speed", {}, {})};
  EXPECT_THAT(ForecastAfter(0, SearchLimits(), goals).loads, IsEmpty());
  EXPECT_THAT(ForecastAfter(1, SearchLimits(), goals).loads, IsEmpty());
}

TEST(SearchForecast, NamesWhatWillBeRecommended) {
  SearchLimits limits;
  limits.whole_frontier = false;
  // 50 tok/s are had by 33 users.
  EXPECT_NEAR(ForecastAfter(2, limits, {*MakeGoal("user-speed", 50, {})}).best, 33, 1);
  // 500 ms by 50.
  EXPECT_NEAR(ForecastAfter(2, limits, {*MakeGoal("ttft", {}, {})}).best, 50, 2);
  EXPECT_EQ(ForecastAfter(2, limits, {*MakeGoal("user-speed", 500, {})}).best, 0u);
}

TEST(SearchForecast, WhatIsMeasuredCountsAsItIs) {
  const std::vector<Goal> goals = {*MakeGoal("user-speed", 50, {})};
  std::vector<PointReport> points = {Point(1), Point(2), Point(4)};
  // Slow for a moment, which ends the doubling of a search for the goal alone.
  for (int i : {1, 2}) points[i].mutable_regatta()->set_p5_user_speed_tok_s(10);
  SearchLimits limits;
  limits.whole_frontier = limits.find_knee = false;
  EXPECT_THAT(ForecastSearch(limits, goals, {&points[0], &points[1], &points[2]}).loads, IsEmpty());
}

}  // namespace
}  // namespace regatta
