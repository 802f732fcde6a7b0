// Buckets at their edges, and sums of histograms.
#include "router/metrics/histogram.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <thread>

#include "router/metrics/buckets.h"

namespace regatta {
namespace {

using testing::ElementsAre;

HistogramTotals TotalsOf(const Histogram& histogram) {
  HistogramTotals totals;
  histogram.AddTo(totals);
  return totals;
}

TEST(Histogram, ValueOnABound_FallsBelowIt) {
  Histogram histogram({1, 2, 5});
  for (const double value : {1.0, 2.0, 5.0}) histogram.Observe(value);
  EXPECT_THAT(TotalsOf(histogram).counts, ElementsAre(1, 1, 1, 0));
  EXPECT_EQ(TotalsOf(histogram).sum, 8);
}

TEST(Histogram, ValueJustAboveABound_FallsIntoTheNextBucket) {
  Histogram histogram({1, 2, 5});
  for (const double bound : {1.0, 2.0, 5.0}) {
    histogram.Observe(std::nextafter(bound, HUGE_VAL));
    histogram.Observe(std::nextafter(bound, 0));
  }
  EXPECT_THAT(TotalsOf(histogram).counts, ElementsAre(1, 2, 2, 1));
}

TEST(Histogram, ExtremeValues_FallIntoFirstAndLastBucket) {
  Histogram histogram({1, 2, 5});
  histogram.Observe(0);
  histogram.Observe(-3);
  histogram.Observe(1e300);
  histogram.Observe(HUGE_VAL);
  EXPECT_THAT(TotalsOf(histogram).counts, ElementsAre(2, 0, 0, 2));
}

TEST(Histogram, WithoutBounds_CountsAndSums) {
  Histogram histogram({});
  histogram.Observe(7, 3);
  EXPECT_THAT(TotalsOf(histogram).counts, ElementsAre(3));
  EXPECT_EQ(TotalsOf(histogram).sum, 21);
}

// The remembered bucket must never be taken for a value that is outside of it.
TEST(Histogram, RandomValues_SameBucketsAsASearchByHand) {
  const std::vector<double>& bounds = TokenTimeBounds();
  Histogram histogram(bounds);
  std::vector<uint64_t> expected(bounds.size() + 1);
  std::mt19937 random(7);
  std::uniform_int_distribution<size_t> any_bound(0, bounds.size() - 1);
  uint64_t count = 0;
  for (int i = 0; i < 100'000; ++i) {
    const double bound = bounds[any_bound(random)];
    const double value = i % 3 == 0 ? bound : bound * (0.5 + 1e-9 * (random() % 1'000'000'000));
    const uint64_t times = 1 + random() % 3;
    size_t bucket = 0;
    while (bucket < bounds.size() && value > bounds[bucket]) ++bucket;
    expected[bucket] += times;
    count += times;
    histogram.Observe(value, times);
  }
  EXPECT_EQ(TotalsOf(histogram).counts, expected);
  EXPECT_EQ(TotalsOf(histogram).count(), count);
}

TEST(Histogram, AddTo_AddsToWhatIsThere) {
  Histogram a({1, 2}), b({1, 2});
  a.Observe(0.5);
  b.Observe(1.5, 2);
  b.Observe(9);
  HistogramTotals totals;
  a.AddTo(totals);
  b.AddTo(totals);
  EXPECT_THAT(totals.counts, ElementsAre(1, 2, 1));
  EXPECT_EQ(totals.sum, 12.5);
  EXPECT_EQ(totals.count(), 4);
}

TEST(Histogram, ReadWhileWritten_NeverGoesDown) {
  Histogram histogram(StepTokensBounds());
  std::atomic<bool> done = false;
  std::jthread writer([&] {
    for (int i = 0; i < 200'000; ++i) histogram.Observe(i % 20'000);
    done = true;
  });
  std::vector<uint64_t> before(StepTokensBounds().size() + 1);
  while (!done) {
    const std::vector<uint64_t> now = TotalsOf(histogram).counts;
    for (size_t i = 0; i < now.size(); ++i) ASSERT_GE(now[i], before[i]);
    before = now;
  }
  writer.join();
  EXPECT_EQ(TotalsOf(histogram).count(), 200'000);
}

TEST(SizeBounds, OneTwoFive_UpToTheLargest) {
  EXPECT_THAT(SizeBounds(100), ElementsAre(1, 2, 5, 10, 20, 50, 100));
  EXPECT_THAT(SizeBounds(99), ElementsAre(1, 2, 5, 10, 20, 50));
  EXPECT_THAT(SizeBounds(1), ElementsAre(1));
  EXPECT_THAT(SizeBounds(0), ElementsAre());
}

}  // namespace
}  // namespace regatta
