// What a load of the search sends, and which runs are whose.
#include "orchestrator/search/load_search.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace regatta {
namespace {

using ::testing::HasSubstr;

TEST(LoadSearchTest, LoadsSendWholeRoundsOfTheirUsers) {
  EXPECT_EQ(SearchedPoint(12, 0).requests, 120u);
  EXPECT_EQ(SearchedPoint(3, 0).requests, 33u);  // 32 requests are the least of any point
  EXPECT_EQ(SearchedPoint(3, 32).requests, 33u);
  EXPECT_EQ(SearchedPoint(16, 32).requests, 32u);
  EXPECT_EQ(SearchedPoint(100, 32).requests, 200u);
  EXPECT_EQ(SearchedPoint(100, 32).concurrency, 100u);
}

TEST(LoadSearchTest, TheLargestLoadIsForeseenAndBounded) {
  SearchLimits limits;
  limits.max_concurrency = 100;
  const auto loads = ForeseenLoads(limits, 2, 0);
  ASSERT_TRUE(loads.ok()) << loads.status();
  ASSERT_EQ(loads->size(), 1u);
  EXPECT_EQ(loads->front().concurrency, 200u);
  limits.max_concurrency = kMaxConcurrency;
  EXPECT_TRUE(ForeseenLoads(limits, 1, 0).ok());
  EXPECT_THAT(std::string(ForeseenLoads(limits, 2, 0).status().message()),
              HasSubstr("--max-concurrency is 65536, must be at most 32768"));
}

}  // namespace
}  // namespace regatta
