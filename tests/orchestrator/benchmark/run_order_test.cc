// Randomised complete blocks.
#include "orchestrator/benchmark/run_order.h"

#include <gtest/gtest.h>

#include <map>
#include <set>

namespace regatta {
namespace {

std::vector<size_t> Points(const std::vector<PlannedRun>& order) {
  std::vector<size_t> points;
  for (const PlannedRun& run : order) points.push_back(run.point);
  return points;
}

TEST(RunOrderTest, OneRepeatKeepsTheOrder) {
  EXPECT_EQ(Points(DrawRunOrder(4, 1, 7)), (std::vector<size_t>{0, 1, 2, 3}));
  EXPECT_TRUE(DrawRunOrder(0, 5, 7).empty());
}

TEST(RunOrderTest, EveryBlockHasEveryPointOnce) {
  const std::vector<PlannedRun> order = DrawRunOrder(6, 5, 420);
  ASSERT_EQ(order.size(), 30u);
  for (size_t block = 0; block < 5; ++block) {
    std::set<size_t> points;
    for (size_t i = 0; i < 6; ++i) {
      EXPECT_EQ(order[6 * block + i].repeat, block + 1);
      points.insert(order[6 * block + i].point);
    }
    EXPECT_EQ(points.size(), 6u);
  }
}

TEST(RunOrderTest, TheSeedDecidesAndEveryPlaceIsAsLikely) {
  EXPECT_EQ(Points(DrawRunOrder(8, 3, 1)), Points(DrawRunOrder(8, 3, 1)));
  EXPECT_NE(Points(DrawRunOrder(8, 3, 1)), Points(DrawRunOrder(8, 3, 2)));
  std::map<size_t, int> first;
  constexpr uint32_t kBlocks = 4000;
  const std::vector<PlannedRun> order = DrawRunOrder(4, kBlocks, 3);
  for (uint32_t block = 0; block < kBlocks; ++block) ++first[order[4 * block].point];
  for (const auto& [point, count] : first) EXPECT_NEAR(count, kBlocks / 4, 150) << point;
}

}  // namespace
}  // namespace regatta
