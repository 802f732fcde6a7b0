// Curves over speed and how layouts are dropped by them.
#include "orchestrator/partition/speed_frontier.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "orchestrator/partition/successive_halving.h"

namespace regatta {
namespace {

using ::testing::DoubleEq;
using ::testing::ElementsAre;

// Fast for few, and slow for many.
SpeedFrontier Fast() { return SpeedFrontier({{200, 50}, {150, 100}, {100, 150}}); }
SpeedFrontier Wide() { return SpeedFrontier({{120, 30}, {80, 240}, {40, 400}}); }

TEST(SpeedFrontier, DominatedPointsAreLeftOut) {
  const SpeedFrontier frontier({{100, 10}, {90, 9}, {50, 40}, {50, 20}, {0, 100}, {20, 0}});
  ASSERT_EQ(frontier.points().size(), 2u);
  EXPECT_EQ(frontier.points()[0].speed, 50);
  EXPECT_EQ(frontier.points()[0].throughput, 40);
  EXPECT_EQ(frontier.points()[1].speed, 100);
}

TEST(SpeedFrontier, InterpolatesAndNeverExtrapolates) {
  const SpeedFrontier fast = Fast();
  EXPECT_EQ(fast.At(175).kind, ThroughputAtSpeed::kMeasured);
  EXPECT_THAT(fast.At(175).throughput, DoubleEq(75));
  EXPECT_EQ(fast.At(100).kind, ThroughputAtSpeed::kMeasured);
  EXPECT_EQ(fast.At(200).throughput, 50);
  EXPECT_EQ(fast.At(200.1).kind, ThroughputAtSpeed::kNotReached);
  EXPECT_EQ(fast.At(200.1).throughput, 0);
  EXPECT_EQ(fast.At(99).kind, ThroughputAtSpeed::kAtLeast);
  EXPECT_EQ(fast.At(99).throughput, 150);
  EXPECT_EQ(SpeedFrontier({}).At(1).kind, ThroughputAtSpeed::kNotReached);
}

TEST(SpeedFrontier, ShortfallIsWhereAnArmComesClosest) {
  // At 120 tok/s Wide has 30 of Fast's 130; at 40 it is the best.
  const SpeedFrontier between({{90, 90}});  // where Wide has 187.5 and Fast at least 150
  EXPECT_THAT(Shortfalls({Fast(), Wide(), between, SpeedFrontier({})}),
              ElementsAre(0, 0, DoubleEq(1 - 90 / 187.5), 1));
}

TEST(SpeedFrontier, WinnersChangeWhereLinesCross) {
  const std::vector<SpeedRange> ranges = WinnersBySpeed({Fast(), Wide()});
  ASSERT_EQ(ranges.size(), 2u);
  // Fast was not loaded below 100 tok/s, where its 150 are the least that it gives. Wide's slowest
  // users have 40 tok/s: below, its own 400 are the least as well.
  EXPECT_EQ(ranges[0].winner, 1u);
  EXPECT_TRUE(ranges[0].open);
  EXPECT_EQ(ranges[0].from, 0);
  // Wide's line 240 - 5.25 (x - 80) meets 150 at 97.14.
  EXPECT_NEAR(ranges[0].to, 80 + 90 / 5.25, 1e-3);
  EXPECT_EQ(ranges[1].winner, 0u);
  EXPECT_FALSE(ranges[1].open);  // the bound that wins is no doubt
  EXPECT_EQ(ranges[1].to, 200);
  EXPECT_TRUE(WinnersBySpeed({}).empty());
  EXPECT_TRUE(WinnersBySpeed({SpeedFrontier({})}).empty());
}

TEST(SpeedFrontier, OfEqualCurvesTheFirstWins) {
  const std::vector<SpeedRange> ranges = WinnersBySpeed({Fast(), Fast()});
  ASSERT_EQ(ranges.size(), 2u);
  EXPECT_EQ(ranges[0].winner, 0u);
  EXPECT_TRUE(ranges[0].open);
  EXPECT_EQ(ranges[1].winner, 0u);
  EXPECT_FALSE(ranges[1].open);
}

TEST(SpeedFrontier, WhatTheClientSlowedIsALowerBound) {
  const SpeedFrontier slowed({{200, 50}, {100, 100, /*at_least=*/true}, {150, 60}});
  EXPECT_TRUE(slowed.client_bound());
  EXPECT_EQ(slowed.At(200).kind, ThroughputAtSpeed::kMeasured);
  EXPECT_EQ(slowed.At(150).kind, ThroughputAtSpeed::kMeasured);
  EXPECT_EQ(slowed.At(140).kind, ThroughputAtSpeed::kAtLeast);
  EXPECT_EQ(slowed.At(100).kind, ThroughputAtSpeed::kAtLeast);
  const SpeedFrontier other({{200, 60}, {100, 120}});
  EXPECT_FALSE(other.client_bound());
  const std::vector<SpeedRange> ranges = WinnersBySpeed({slowed, other});
  ASSERT_EQ(ranges.size(), 2u);
  EXPECT_EQ(ranges[0].winner, 1u);
  EXPECT_TRUE(ranges[0].open) << "up to 150 the slowed one may give more";
  EXPECT_EQ(ranges[0].to, 150);
  EXPECT_FALSE(ranges[1].open);
}

TEST(SpeedFrontier, ALeadWithinTheBandsIsNoise) {
  const SpeedFrontier a({{100, 100}}), b({{100, 90}});
  const FrontierBand exact = {b, b},
                     wide = {SpeedFrontier({{95, 80}}), SpeedFrontier({{105, 105}})};
  EXPECT_FALSE(WinnersBySpeed({a, b})[0].within_noise);
  EXPECT_FALSE(WinnersBySpeed({a, b}, {{a, a}, exact})[0].within_noise);
  EXPECT_TRUE(WinnersBySpeed({a, b}, {{a, a}, wide})[0].within_noise);
  // Where only the band of another reaches, nobody has been measured: no winner.
  EXPECT_EQ(WinnersBySpeed({a, b}, {{a, a}, wide}).back().to, 100);
  // From where on the uncertain winner may itself not be that fast.
  const SpeedFrontier fast({{100, 300}});
  const FrontierBand unsteady = {SpeedFrontier({{80, 280}}), SpeedFrontier({{110, 320}})};
  const std::vector<SpeedRange> ranges = WinnersBySpeed({fast, b}, {unsteady, exact});
  ASSERT_GE(ranges.size(), 2u);
  EXPECT_FALSE(ranges[0].within_noise);
  EXPECT_EQ(ranges.back().from, 80);
  EXPECT_TRUE(ranges.back().within_noise);
}

TEST(SuccessiveHalving, WhatTheClientSlowedIsNotDropped) {
  const std::vector<SpeedFrontier> frontiers = {SpeedFrontier({{100, 100}}),
                                                SpeedFrontier({{100, 40, /*at_least=*/true}}),
                                                SpeedFrontier({{100, 40}})};
  EXPECT_THAT(Survivors(frontiers, 0.05), ElementsAre(true, true, true));
  EXPECT_THAT(Survivors({frontiers[0], frontiers[0], frontiers[1], frontiers[2]}, 0.05),
              ElementsAre(true, true, true, false));
}

TEST(SuccessiveHalving, TheBetterHalfGoesOn) {
  const std::vector<SpeedFrontier> frontiers = {
      SpeedFrontier({{100, 100}}), SpeedFrontier({{100, 90}}), SpeedFrontier({{100, 60}}),
      SpeedFrontier({{100, 50}}), SpeedFrontier({{100, 40}})};
  EXPECT_THAT(Survivors(frontiers, 0.05), ElementsAre(true, true, true, false, false));
}

TEST(SuccessiveHalving, WhatIsBestAtAnySpeedIsNeverDropped) {
  const std::vector<SpeedFrontier> frontiers = {
      SpeedFrontier({{200, 10}}), SpeedFrontier({{150, 50}}), SpeedFrontier({{100, 100}}),
      SpeedFrontier({{50, 200}}), SpeedFrontier({{50, 170}}),  // 15 % below
      SpeedFrontier({{50, 100}}),                              // half
  };
  EXPECT_THAT(Survivors(frontiers, 0.2), ElementsAre(true, true, true, true, true, false));
  EXPECT_THAT(Survivors(frontiers, 0.1), ElementsAre(true, true, true, true, false, false));
}

TEST(SuccessiveHalving, WhatCouldNotBeMeasuredDoesNotGoOn) {
  EXPECT_THAT(Survivors({SpeedFrontier({}), SpeedFrontier({{1, 1}})}, 1), ElementsAre(false, true));
  EXPECT_THAT(Survivors({SpeedFrontier({})}, 1), ElementsAre(false));
  EXPECT_THAT(Survivors({}, 0.1), ElementsAre());
}

TEST(SuccessiveHalving, BudgetsDoubleUpToTheSweep) {
  EXPECT_EQ(RoundRequests(640, 64, 0, 2), 160u);
  EXPECT_EQ(RoundRequests(640, 64, 1, 2), 320u);
  EXPECT_EQ(RoundRequests(100, 64, 0, 2), 64u);  // one for each user
  EXPECT_THAT(RoundPoints(7, 0), ElementsAre(0, 3, 6));
  EXPECT_THAT(RoundPoints(11, 1), ElementsAre(0, 2, 5, 7, 10));
  EXPECT_THAT(RoundPoints(2, 0), ElementsAre(0, 1));
  EXPECT_THAT(RoundPoints(1, 3), ElementsAre(0));
}

}  // namespace
}  // namespace regatta
