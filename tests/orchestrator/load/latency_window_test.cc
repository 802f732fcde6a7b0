// Recent latencies on a clock by hand.
#include "orchestrator/load/latency_window.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace regatta {
namespace {

constexpr int64_t kSecond = 1'000'000'000;

TEST(RecentValuesTest, EachIsSeenOnceInOrder) {
  RecentValues values;
  values.Add(1);
  values.Add(2);
  std::vector<double> seen;
  const uint64_t first = values.Since(0, seen);
  values.Add(3);
  EXPECT_EQ(values.Since(first, seen), 3u);
  EXPECT_THAT(seen, ::testing::ElementsAre(1, 2, 3));
}

TEST(RecentValuesTest, OfVeryManyTheNewestAreKept) {
  RecentValues values;
  for (uint64_t i = 0; i < 3 * RecentValues::kKept; ++i) values.Add(i);
  std::vector<double> seen;
  EXPECT_EQ(values.Since(5, seen), 3 * RecentValues::kKept);
  ASSERT_EQ(seen.size(), RecentValues::kKept);
  EXPECT_EQ(seen.front(), 2 * RecentValues::kKept);
  EXPECT_EQ(seen.back(), 3 * RecentValues::kKept - 1);
}

TEST(LatencyWindowTest, AllThreadsCountUntilTheyAreOld) {
  RecentValues of_thread[2];
  LatencyWindow window(2);
  const auto look = [&](int64_t now_ns) {
    for (size_t i : {0, 1}) window.Look(i, of_thread[i], now_ns);
    return window.Summary(now_ns);
  };
  EXPECT_EQ(look(0).requests, 0u);
  of_thread[0].Add(10);
  of_thread[1].Add(30);
  const RecentLatency both = look(kSecond);
  EXPECT_EQ(both.requests, 2u);
  EXPECT_DOUBLE_EQ(both.p50_ms, 20);
  EXPECT_DOUBLE_EQ(both.p95_ms, 29);
  of_thread[0].Add(50);
  EXPECT_DOUBLE_EQ(look(3 * kSecond).p50_ms, 30) << "of 10, 30 and 50";
  EXPECT_DOUBLE_EQ(look(3 * kSecond + 1).p50_ms, 50) << "the first two are older than 2 s";
  EXPECT_EQ(look(6 * kSecond).requests, 0u);
}

}  // namespace
}  // namespace regatta
