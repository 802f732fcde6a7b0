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

TEST(LoadSearchTest, RunsAreToldApartByRoleAndLoad) {
  SweepReport sweep;
  const auto add = [&](const char* role, uint32_t users) {
    RegattaInfo& info = *sweep.add_runs()->mutable_regatta();
    info.set_search_role(role);
    info.set_concurrency(users);
  };
  add(kSearchRole, 1);
  add("confirm", 2);
  add(kSearchRole, 2);
  add("", 2);
  const auto found = RunsOf(sweep, kSearchRole);
  ASSERT_EQ(found.size(), 2u);
  EXPECT_EQ(found[0], &sweep.runs(0));
  EXPECT_EQ(found[1], &sweep.runs(2));
  EXPECT_EQ(RunsOf(sweep, "confirm", 2).size(), 1u);
  EXPECT_TRUE(RunsOf(sweep, "confirm", 1).empty());
  EXPECT_EQ(RunsOf(sweep, "").size(), 1u);
}

}  // namespace
}  // namespace regatta
