// Forecasts against their definitions.
#include "router/scheduler/scheduler_admission.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

namespace regatta {
namespace {

TEST(LengthModelTest, ColdStartIsAGuessNotTheContextLength) {
  const LengthModel model(256);
  EXPECT_NEAR(model.Mean(131072, false), 256, 30);
  uint64_t sum = 0;
  for (uint64_t draw = 1; draw <= 1000; ++draw) sum += model.Predict(draw, 0, 131072, false);
  EXPECT_NEAR(sum / 1000.0, 256, 30);
}

TEST(LengthModelTest, LearnsWhatItObserves) {
  LengthModel model(256);
  for (int i = 0; i < 1000; ++i) model.Observe(i % 2 == 0 ? 50 : 150, false);
  EXPECT_EQ(model.Mean(4096, false), 100u);
  uint32_t shorter = 0;
  for (uint64_t draw = 1; draw <= 1000; ++draw) {
    const uint32_t predicted = model.Predict(draw, 0, 4096, false);
    ASSERT_THAT(predicted, testing::AnyOf(50, 150));
    shorter += predicted == 50;
    // Whoever has got past 50 will get to 150.
    EXPECT_EQ(model.Predict(draw, 60, 4096, false), 150u);
  }
  EXPECT_NEAR(shorter, 500, 20);
}

TEST(LengthModelTest, TrustsMaxTokensAsFarAsTheyAreReached) {
  LengthModel exact(256), loose(256);
  for (int i = 0; i < 300; ++i) {
    exact.Observe(1000, true);
    loose.Observe(100, false);
  }
  EXPECT_EQ(exact.Mean(2000, true), 2000u);
  EXPECT_EQ(exact.Predict(1, 0, 2000, true), 2000u);
  EXPECT_EQ(loose.Mean(2000, true), 100u);
  EXPECT_EQ(loose.Predict(1, 0, 2000, true), 100u);
}

TEST(LengthModelTest, PredictionsLieBetweenOutputsAndBound) {
  LengthModel model(10);
  for (uint32_t outputs = 0; outputs < 200; ++outputs) {
    const uint32_t predicted = model.Predict(outputs, outputs, 200, outputs % 2 == 0);
    EXPECT_GT(predicted, outputs);
    EXPECT_LE(predicted, 200u);
  }
}

// The definition, step by step.
uint64_t Peak(uint64_t fixed, const std::vector<std::pair<uint64_t, uint32_t>>& sequences) {
  uint64_t peak = 0;
  for (uint64_t time = 0; time < 3000; ++time) {
    uint64_t use = fixed;
    for (const auto& [held, remaining] : sequences) use += time <= remaining ? held + time : 0;
    peak = std::max(peak, use);
  }
  return peak;
}

TEST(MemoryForecastTest, IsThePeakOfUse) {
  MemoryForecast forecast;
  std::vector<std::pair<uint64_t, uint32_t>> sequences;
  forecast.Reset(1000);
  uint32_t x = 1;
  for (int i = 0; i < 200; ++i) {
    x = x * 1664525 + 1013904223;
    const uint64_t held = 50 + (x >> 8) % 500;
    const uint32_t remaining = 1 + (x >> 20) % 2000;
    sequences.emplace_back(held, remaining);
    const double peak = Peak(1000, sequences);
    EXPECT_NEAR(forecast.PeakWith(held, remaining), peak, 0.02 * peak) << i;
    forecast.Add(held, remaining);
    EXPECT_NEAR(forecast.PeakWith(0, 0), peak, 0.02 * peak) << i;
  }
  forecast.Reset(5);
  EXPECT_EQ(forecast.PeakWith(0, 0), 5u);
  EXPECT_EQ(forecast.PeakWith(10, 20), 35u);
}

TEST(MemoryForecastTest, SequencesThatEndMakeRoomForThoseThatStay) {
  MemoryForecast forecast;
  forecast.Reset(0);
  for (int i = 0; i < 10; ++i) forecast.Add(100, 1);
  forecast.Add(100, 1000);
  // 11 x 101 at once, later 1,100 alone; not 10 x 101 + 1,100.
  EXPECT_EQ(forecast.PeakWith(0, 0), 1111u);
}

TEST(SafetyMarginTest, GrowsWithPreemptionsAndDecays) {
  SafetyMargin margin;
  EXPECT_EQ(margin.fraction(), 0);
  for (int i = 0; i < 1000; ++i) margin.OnPreemption();
  EXPECT_LE(margin.fraction(), 0.5);
  for (int i = 0; i < 5000; ++i) margin.OnStep();
  EXPECT_LT(margin.fraction(), 0.001);
}

}  // namespace
}  // namespace regatta
