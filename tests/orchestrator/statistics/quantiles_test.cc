// Quantiles of plain and of counted samples.
#include "orchestrator/statistics/quantiles.h"

#include <gtest/gtest.h>

namespace regatta {
namespace {

TEST(EvenQuantilesTest, RunFromMinimumToMaximum) {
  EXPECT_EQ(EvenQuantiles({4, 0, 2}, 5), (std::vector<double>{0, 1, 2, 3, 4}));
  EXPECT_EQ(EvenQuantiles({7}, 3), (std::vector<double>{7, 7, 7}));
  EXPECT_TRUE(EvenQuantiles({}, 3).empty());
}

TEST(QuantileTest, InterpolatesBetweenNeighbours) {
  const std::vector<double> sorted = {10, 20, 30, 40};
  EXPECT_DOUBLE_EQ(Quantile(sorted, 0), 10);
  EXPECT_DOUBLE_EQ(Quantile(sorted, 1), 40);
  EXPECT_DOUBLE_EQ(Quantile(sorted, 0.5), 25);
  EXPECT_DOUBLE_EQ(Quantile(sorted, 0.9), 37);  // position 2.7
  EXPECT_DOUBLE_EQ(Quantile({7.0}, 0.99), 7);
}

TEST(SummarizeTest, SortsAndNamesEveryStatistic) {
  const Percentiles p = Summarize({40, 10, 30, 20});
  EXPECT_DOUBLE_EQ(p.minimum(), 10);
  EXPECT_DOUBLE_EQ(p.maximum(), 40);
  EXPECT_DOUBLE_EQ(p.average(), 25);
  EXPECT_DOUBLE_EQ(p.p50(), 25);
  EXPECT_DOUBLE_EQ(p.p90(), 37);
  EXPECT_DOUBLE_EQ(p.p95(), 38.5);
  EXPECT_DOUBLE_EQ(p.p99(), 39.7);
  EXPECT_DOUBLE_EQ(Summarize({}).maximum(), 0);
}

TEST(SummarizeCountedTest, EqualsTheSamplesThatTheCountsStandFor) {
  const std::vector<CountedSample> counted = {{8, 1}, {2, 5}, {4, 3}, {2, 1}, {9, 0}};
  const Percentiles p = SummarizeCounted(counted);
  const Percentiles expected = Summarize({2, 2, 2, 2, 2, 2, 4, 4, 4, 8});
  EXPECT_EQ(p.SerializeAsString(), expected.SerializeAsString()) << p.DebugString();
  EXPECT_DOUBLE_EQ(SummarizeCounted({}).p99(), 0);
  EXPECT_DOUBLE_EQ(SummarizeCounted({{5, 0}}).p99(), 0);
}

}  // namespace
}  // namespace regatta
