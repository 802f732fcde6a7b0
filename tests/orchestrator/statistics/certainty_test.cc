// Intervals and certified tails against published values, and how often they hold on drawn samples.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "orchestrator/statistics/certified_tail.h"
#include "orchestrator/statistics/intervals.h"

namespace regatta {
namespace {

TEST(MeanIntervalTest, ByHandWithATabulatedT) {
  const auto interval = MeanInterval("x", std::vector<double>{10, 12, 14, 16, 18});
  ASSERT_TRUE(interval.has_value());
  // s = sqrt(10), t(0.975, 4) = 2.776445.
  const double half = 2.776445 * std::sqrt(10.0 / 5);
  EXPECT_DOUBLE_EQ(interval->mean(), 14);
  EXPECT_NEAR(interval->low(), 14 - half, 1e-5);
  EXPECT_NEAR(interval->high(), 14 + half, 1e-5);
  EXPECT_EQ(interval->samples(), 5u);
  EXPECT_DOUBLE_EQ(interval->confidence(), 0.95);
  EXPECT_FALSE(MeanInterval("x", std::vector<double>{10}).has_value());
}

TEST(BatchMeansTest, TenBatchesOfNeighbours) {
  std::vector<double> samples(30);
  for (int i = 0; i < 30; ++i) samples[i] = i / 3;  // batch means 0..9, t(0.975, 9) = 2.262157
  const auto interval = BatchMeansInterval("x", samples);
  ASSERT_TRUE(interval.has_value());
  EXPECT_EQ(interval->samples(), 10u);
  EXPECT_DOUBLE_EQ(interval->mean(), 4.5);
  EXPECT_NEAR(interval->high() - 4.5, 2.262157 * std::sqrt(82.5 / 9 / 10), 1e-5);
  samples.pop_back();
  EXPECT_FALSE(BatchMeansInterval("x", samples).has_value());
}

// 39 samples are nine batches of four and one of three; by hand with t(0.975, 9) = 2.262157.
TEST(BatchMeansTest, BatchesCountByTheirSize) {
  std::vector<double> samples(39, 0.0);
  for (int i = 0; i < 3; ++i) samples[i] = 13;  // the first batch, of three
  const auto interval = BatchMeansInterval("x", samples);
  ASSERT_TRUE(interval.has_value());
  EXPECT_NEAR(interval->mean(), 1, 1e-12) << "the mean of the samples, not of the batches";
  // (3 * 12^2 + 36 * 1^2) / 9 between batches, over 39 samples.
  EXPECT_NEAR(interval->high() - 1, 2.262157 * std::sqrt(468.0 / 9 / 39), 1e-5);
  EXPECT_NEAR(1 - interval->low(), 2.262157 * std::sqrt(468.0 / 9 / 39), 1e-5);
  EXPECT_EQ(interval->samples(), 10u);
}

// With equal denominators a ratio is a mean.
TEST(BatchRatioTest, IsTheMeansIntervalWhereAllCountTheSame) {
  std::vector<double> samples(30);
  for (int i = 0; i < 30; ++i) samples[i] = i / 3;
  const auto means = BatchMeansInterval("x", samples);
  const auto ratio = BatchRatioInterval("x", samples, std::vector<double>(30, 1.0));
  ASSERT_TRUE(ratio.has_value());
  EXPECT_DOUBLE_EQ(ratio->mean(), means->mean());
  EXPECT_NEAR(ratio->high(), means->high(), 1e-9);
}

// Batches of three: nine of 3 tokens in 3 s, one of 6 in 3. By hand with t(0.975, 9) = 2.262157.
TEST(BatchRatioTest, ByHand) {
  std::vector<double> tokens(30, 1.0), seconds(30, 1.0);
  for (int i = 0; i < 3; ++i) tokens[i] = 2;
  const auto interval = BatchRatioInterval("x", tokens, seconds);
  ASSERT_TRUE(interval.has_value());
  EXPECT_NEAR(interval->mean(), 1.1, 1e-12);
  // The first is 2.7 above, nine are 0.3 below.
  const double error = std::sqrt((2.7 * 2.7 + 9 * 0.3 * 0.3) * 10 / 9) / 30;
  EXPECT_NEAR(interval->high() - 1.1, 2.262157 * error, 1e-5);
  EXPECT_FALSE(BatchRatioInterval("x", tokens, std::vector<double>(30, 0.0)).has_value());
}

// Neighbours that resemble one another fool the plain interval; batches hardly.
TEST(BatchMeansTest, HoldsOnCorrelatedSamplesWhereThePlainIntervalDoesNot) {
  constexpr int kTrials = 400, kSamples = 2000;
  constexpr double kMean = 10, kKept = 0.9;
  int batched = 0, plain = 0;
  std::mt19937_64 random(1);
  std::normal_distribution<double> normal;
  for (int trial = 0; trial < kTrials; ++trial) {
    std::vector<double> samples;
    double state = normal(random) / std::sqrt(1 - kKept * kKept);
    for (int i = 0; i < kSamples; ++i) {
      samples.push_back(kMean + state);
      state = kKept * state + normal(random);
    }
    const auto holds = [&](const std::optional<Interval>& interval) {
      return interval->low() <= kMean && kMean <= interval->high();
    };
    batched += holds(BatchMeansInterval("x", samples));
    plain += holds(MeanInterval("x", samples));
  }
  EXPECT_GT(batched, 0.90 * kTrials);
  EXPECT_LT(plain, 0.60 * kTrials);
}

TEST(CertifiedTailTest, SamplesNeededAreLoadGens) {
  EXPECT_EQ(SamplesNeeded(0.90), 64u);
  EXPECT_EQ(SamplesNeeded(0.99), 662u);
  EXPECT_EQ(SamplesNeeded(0.999), 6636u);
}

TEST(CertifiedTailTest, TooFewSamplesHaveAnEstimateAndNoBound) {
  const CertifiedTail tail = CertifyTail("ttft_ms", 0.99, std::vector<double>(40, 7.0));
  EXPECT_EQ(tail.samples(), 40u);
  EXPECT_EQ(tail.samples_needed(), 662u);
  EXPECT_DOUBLE_EQ(tail.estimate(), 7);
  EXPECT_FALSE(tail.has_bound());
  EXPECT_EQ(CertifyTail("x", 0.99, {}).samples(), 0u);
}

TEST(CertifiedTailTest, WithJustEnoughTheBoundIsTheSecondLargest) {
  std::vector<double> samples(662);
  for (int i = 0; i < 662; ++i) samples[i] = 662 - i;
  EXPECT_DOUBLE_EQ(CertifyTail("x", 0.99, samples).bound(), 661);
  samples.pop_back();
  EXPECT_FALSE(CertifyTail("x", 0.99, samples).has_bound());
}

TEST(CertifiedTailTest, TheBoundHoldsInNinetyNineOfAHundredRuns) {
  constexpr int kTrials = 2000;
  int held = 0;
  std::mt19937_64 random(2);
  std::uniform_real_distribution<double> uniform(0, 1);
  for (int trial = 0; trial < kTrials; ++trial) {
    std::vector<double> samples(900);
    for (double& sample : samples) sample = uniform(random);
    held += CertifyTail("x", 0.99, samples).bound() >= 0.99;
  }
  EXPECT_GT(held, 0.98 * kTrials);
  EXPECT_LT(held, kTrials);  // a bound that never fails would be too wide
}

}  // namespace
}  // namespace regatta
