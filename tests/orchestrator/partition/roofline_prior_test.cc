// The prior against what can be worked out by hand.
#include "orchestrator/partition/roofline_prior.h"

#include <gtest/gtest.h>

#include "common/layout.h"
#include "tests/testing/models.h"

namespace regatta {
namespace {

PreciseModel In(const char* model, const char* precision) {
  return *InPrecision(PublishedModel(model), (*ParsePrecisions(precision))[0], true, false);
}

Layout Of(uint32_t tp, uint32_t pp, uint32_t ep, uint32_t dp) {
  return *MakeLayout(tp, pp, ep, dp);
}

// One user of an 8B model in bf16 on an H200 is bound by reading 15.0 GB of weights (all but the
// embedding) at 80 % of 4.8 TB/s: 3.9 ms and the overhead of a step.
TEST(RooflinePrior, OneUserReadsAllWeights) {
  const DeviceSpeed h200 = DeviceSpeedOf("NVIDIA H200", 1);
  const double step = PriorStepSeconds(In("llama-3.1-8b", "bf16"), Of(1, 1, 1, 1), h200, {}, 1);
  EXPECT_NEAR(step, 15.01e9 / (4.8e12 * 0.8) + 150e-6, 0.02e-3);
}

// Where arithmetic binds, twice the sequences take twice as long; where reading binds, they do not.
TEST(RooflinePrior, BoundByMathWithManyAndByReadingWithFew) {
  const PreciseModel model = In("llama-3.1-8b", "bf16");
  const DeviceSpeed h100 = DeviceSpeedOf("NVIDIA H100 80GB HBM3", 1);
  const auto step = [&](double sequences) {
    return PriorStepSeconds(model, Of(1, 1, 1, 1), h100, {}, sequences) - 150e-6;
  };
  EXPECT_LT(step(16) / step(8), 1.05);
  EXPECT_NEAR(step(4096) / step(2048), 2, 0.1);
}

TEST(RooflinePrior, TensorRanksSpeedUpATokenAndCostCommunication) {
  const PreciseModel model = In("llama-3.3-70b", "bf16");
  const DeviceSpeed h200 = DeviceSpeedOf("NVIDIA H200", 4);
  const SpeedPoint one_copy = PriorPoint(model, Of(4, 1, 1, 1), h200, {}, 1);
  const SpeedPoint two_copies = PriorPoint(model, Of(2, 1, 1, 2), h200, {}, 1);
  EXPECT_GT(one_copy.speed, 1.5 * two_copies.speed);
  EXPECT_LT(one_copy.speed, 2 * two_copies.speed);
  // Pipeline stages read as much per token as one rank would: no faster for a user.
  const SpeedPoint stages = PriorPoint(model, Of(1, 4, 1, 1), h200, {}, 1);
  EXPECT_LT(stages.speed, two_copies.speed);
}

TEST(RooflinePrior, HalfTheBytesAreNearlyTwiceTheSpeed) {
  const DeviceSpeed h200 = DeviceSpeedOf("NVIDIA H200", 1);
  const double plain = PriorPoint(In("llama-3.1-8b", "bf16"), Of(1, 1, 1, 1), h200, {}, 1).speed;
  const double fp8 =
      PriorPoint(In("llama-3.1-8b", "fp8-static"), Of(1, 1, 1, 1), h200, {}, 1).speed;
  EXPECT_GT(fp8 / plain, 1.6);
  EXPECT_LT(fp8 / plain, 2);
}

// 8 of 128 experts for one token; nearly all for many.
TEST(RooflinePrior, FewTokensReadFewExperts) {
  const PreciseModel model = In("qwen3-30b-a3b", "bf16");
  const DeviceSpeed h200 = DeviceSpeedOf("NVIDIA H200", 1);
  const PriorLoad decode_only = {1, 1000};
  const auto step = [&](double sequences) {
    return PriorStepSeconds(model, Of(1, 1, 1, 1), h200, decode_only, sequences) - 150e-6;
  };
  EXPECT_LT(step(1), 0.2 * step(64));
  EXPECT_LT(step(128) / step(64), 1.2);
}

TEST(RooflinePrior, WhatACopyCannotHoldWaits) {
  const PreciseModel model = In("llama-3.1-8b", "bf16");
  const DeviceSpeed h200 = DeviceSpeedOf("NVIDIA H200", 2);
  const PriorLoad small = {128, 128, 16};
  const SpeedPoint full = PriorPoint(model, Of(1, 1, 1, 2), h200, small, 32);
  const SpeedPoint over = PriorPoint(model, Of(1, 1, 1, 2), h200, small, 512);
  EXPECT_EQ(over.speed, full.speed);
  EXPECT_EQ(over.throughput, full.throughput);
  EXPECT_NEAR(full.throughput, 32 * full.speed / 2, 1e-6);  // per GPU
}

TEST(DeviceSpeeds, AreFoundByName) {
  EXPECT_EQ(DeviceSpeedOf("NVIDIA H100 80GB HBM3", 1).read_gb_s, 3350);
  EXPECT_EQ(DeviceSpeedOf("NVIDIA H100 NVL", 1).read_gb_s, 3900);
  EXPECT_EQ(DeviceSpeedOf("NVIDIA A100-SXM4-80GB", 1).name, "A100");
  EXPECT_EQ(DeviceSpeedOf("CPU ranks", 4).read_gb_s, 5);  // of a host that they share
  const DeviceSpeed unknown = DeviceSpeedOf("Something New", 1);
  EXPECT_FALSE(unknown.known);
  EXPECT_EQ(unknown.name, "H100");
}

}  // namespace
}  // namespace regatta
