// Ratios and their intervals, against values worked out elsewhere.
#include "orchestrator/compare/effect.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <vector>

namespace regatta {
namespace {

// Expected: scipy.stats.ttest_rel and ttest_ind(equal_var=False), their confidence_interval(0.95),
// of the logarithms, exponentiated.
TEST(EffectTest, PairedIsStudentsTOverLogarithmsOfRatios) {
  const std::vector<double> a = {100, 104, 98, 101, 103}, b = {95, 98, 94, 97, 97};
  const Effect effect = PairedEffect(a, b, 0.95);
  EXPECT_NEAR(effect.ratio, 0.95069366, 1e-6);
  ASSERT_TRUE(effect.interval.has_value());
  EXPECT_NEAR(effect.interval->low, 0.93970666, 1e-6);
  EXPECT_NEAR(effect.interval->high, 0.96180912, 1e-6);
  EXPECT_EQ(effect.confidence, 0.95);
}

TEST(EffectTest, UnpairedIsWelchsTOverLogarithms) {
  const std::vector<double> a = {100, 104, 98, 101, 103, 99}, b = {95, 110, 94, 120};
  const Effect effect = UnpairedEffect(a, b, 0.95);
  EXPECT_NEAR(effect.ratio, 1.03358805, 1e-6);
  ASSERT_TRUE(effect.interval.has_value());
  EXPECT_NEAR(effect.interval->low, 0.85849733, 1e-6);
  EXPECT_NEAR(effect.interval->high, 1.24438856, 1e-6);
}

TEST(EffectTest, OneRunHasARatioAndNoInterval) {
  EXPECT_FALSE(PairedEffect({4.0}, {5.0}, 0.95).interval.has_value());
  EXPECT_DOUBLE_EQ(PairedEffect({4.0}, {5.0}, 0.95).ratio, 1.25);
  EXPECT_FALSE(UnpairedEffect({4.0}, {5.0, 6.0}, 0.95).interval.has_value());
}

TEST(EffectTest, WhatNeverVariesHasAnIntervalOfNoWidth) {
  const Effect effect = UnpairedEffect({4.0, 4.0}, {5.0, 5.0}, 0.95);
  ASSERT_TRUE(effect.interval.has_value());
  EXPECT_DOUBLE_EQ(effect.interval->low, effect.interval->high);
}

// A drift that both sides share disappears between neighbours.
TEST(EffectTest, PairsCancelADriftThatIndependentSamplesSuffer) {
  std::vector<double> a, b;
  for (int i = 0; i < 6; ++i) {
    a.push_back(100 + 10 * i);
    b.push_back(1.05 * a.back() + (i % 2 == 0 ? 0.1 : -0.1));
  }
  const Effect paired = PairedEffect(a, b, 0.95), unpaired = UnpairedEffect(a, b, 0.95);
  EXPECT_NEAR(paired.ratio, unpaired.ratio, 1e-12);
  EXPECT_EQ(Judge(paired, true, 0.01), VERDICT_BETTER);
  EXPECT_EQ(Judge(unpaired, true, 0.01), VERDICT_UNCLEAR);
}

// Of many experiments about one in twenty intervals misses the true ratio.
TEST(EffectTest, IntervalsCoverTheTruthAsOftenAsTheySay) {
  std::mt19937_64 random(7);
  std::normal_distribution<double> noise_a(0, 0.02), noise_b(0, 0.05);
  int paired_hits = 0, welch_hits = 0;
  constexpr int kExperiments = 4000;
  const double truth = 1.03;
  const auto covers = [&](const Effect& effect) {
    return effect.interval->low <= truth && truth <= effect.interval->high;
  };
  for (int experiment = 0; experiment < kExperiments; ++experiment) {
    std::vector<double> a, b, more;
    for (int i = 0; i < 5; ++i) a.push_back(100 * std::exp(noise_a(random)));
    for (int i = 0; i < 5; ++i) b.push_back(100 * truth * std::exp(noise_b(random)));
    for (int i = 0; i < 9; ++i) more.push_back(100 * std::exp(noise_a(random)));
    paired_hits += covers(PairedEffect(a, b, 0.95));
    welch_hits += covers(UnpairedEffect(more, b, 0.95));
  }
  // Three standard errors of a proportion are 0.0103; Welch's t is approximate with five runs.
  EXPECT_NEAR(paired_hits / double{kExperiments}, 0.95, 0.0104);
  EXPECT_NEAR(welch_hits / double{kExperiments}, 0.95, 0.015);
}

Effect Of(double low, double high) {
  return {std::sqrt(low * high), Effect::Bounds{low, high}, 0.95};
}

TEST(JudgeTest, SaysWhereTheIntervalLies) {
  EXPECT_EQ(Judge(Of(1.02, 1.05), true, 0.01), VERDICT_BETTER);
  EXPECT_EQ(Judge(Of(1.02, 1.05), false, 0.01), VERDICT_WORSE);
  EXPECT_EQ(Judge(Of(0.90, 0.95), true, 0.01), VERDICT_WORSE);
  EXPECT_EQ(Judge(Of(0.90, 0.95), false, 0.01), VERDICT_BETTER);
  EXPECT_EQ(Judge(Of(0.98, 1.05), true, 0.01), VERDICT_UNCLEAR);
  EXPECT_EQ(Judge(Of(0.995, 1.005), true, 0.01), VERDICT_SAME);
  EXPECT_EQ(Judge(Of(1.001, 1.005), true, 0.01), VERDICT_SAME);  // real, and too small to matter
  EXPECT_EQ(Judge(Of(1.001, 1.02), true, 0.01), VERDICT_BETTER);
  EXPECT_EQ(Judge({1.5, {}, 0}, true, 0.01), VERDICT_TOO_FEW_RUNS);
}

}  // namespace
}  // namespace regatta
