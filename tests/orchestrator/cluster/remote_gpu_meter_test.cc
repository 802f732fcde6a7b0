// Readings of another clock, moved to this host's and cut to the load.
#include "orchestrator/cluster/remote_gpu_meter.h"

#include <gtest/gtest.h>

#include "orchestrator/doctor/gpu_readings.h"

namespace regatta {
namespace {

constexpr int64_t kMs = 1'000'000;
// The worker's clock is behind by a day.
constexpr int64_t kBehind = 86'400'000 * kMs;

// At `ms` of this host's clock.
GpuReading At(int64_t ms, uint64_t energy_mj, uint32_t power_mw = 0, int64_t age_ms = 0) {
  GpuReading reading;
  reading.set_age_ns(age_ms * kMs);
  reading.set_time_ns(ms * kMs - kBehind);
  reading.set_energy_mj(energy_mj);
  reading.set_power_mw(power_mw);
  return reading;
}

double Joules(const std::vector<GpuReading>& load) {
  GpuReadings readings;
  for (const GpuReading& reading : load) readings.Add(reading);
  GpuEnergy gpu;
  EXPECT_TRUE(readings.Fill(gpu));
  return gpu.joules();
}

TEST(RemoteReadingsTest, EnergyIsOfTheLoadAloneWhateverTheDelays) {
  RemoteReadings readings;
  // 100 W before, 600 W from 1,000 ms to 3,000 ms, 100 W after; each told late, as most know.
  readings.Add(At(500, 50'000, 100'000, 80), 600 * kMs);
  readings.Add(At(1000, 100'000, 100'000, 90), 1095 * kMs);
  for (int i = 0; i < 5; ++i) {  // on its way for no time at all
    readings.Add(At(1500, 400'000, 600'000, 180 + 100 * i), (1680 + 100 * i) * kMs);
  }
  readings.Add(At(2000, 700'000, 600'000), 2010 * kMs);
  readings.Add(At(2500, 1'000'000, 600'000), 2680 * kMs);
  readings.Add(At(3000, 1'300'000, 600'000), 3001 * kMs);
  readings.Add(At(3500, 1'350'000, 100'000), 3501 * kMs);
  EXPECT_EQ(readings.newest_ns(), 3500 * kMs);
  EXPECT_DOUBLE_EQ(Joules(readings.Between(1000 * kMs, 3000 * kMs)), 1200);
  const std::vector<GpuReading> load = readings.Between(1200 * kMs, 2900 * kMs);
  EXPECT_DOUBLE_EQ(Joules(load), 600 * 1.7) << "counters at both ends are interpolated";
  ASSERT_EQ(load.size(), 5u);
  EXPECT_EQ(load.front().time_ns(), 1200 * kMs);
  EXPECT_EQ(load.back().time_ns(), 2900 * kMs);
  for (const GpuReading& reading : load) EXPECT_EQ(reading.power_mw(), 600'000u);
}

TEST(RemoteReadingsTest, ALoadBetweenTwoReadingsHasItsPartOfThem) {
  RemoteReadings readings;
  readings.Add(At(0, 1000), 0);
  readings.Add(At(500, 2000), 500 * kMs);
  EXPECT_NEAR(Joules(readings.Between(100 * kMs, 200 * kMs)), 0.2, 1e-9);
}

TEST(RemoteReadingsTest, WhatHasNoReadingBeyondEndsWithTheLastOne) {
  RemoteReadings readings;
  readings.Add(At(1000, 1000), 1000 * kMs);
  readings.Add(At(1500, 2000), 1500 * kMs);
  EXPECT_EQ(readings.Between(0, 9000 * kMs).size(), 2u);
  EXPECT_TRUE(readings.Between(2000 * kMs, 9000 * kMs).empty());
}

TEST(RemoteReadingsTest, AClockThatJumpsBackBeginsAnew) {
  RemoteReadings readings;
  readings.Add(At(1000, 900'000), 1000 * kMs);
  GpuReading rebooted;
  rebooted.set_time_ns(-2 * kBehind);
  readings.Add(rebooted, 5000 * kMs);
  EXPECT_EQ(readings.newest_ns(), 5000 * kMs);
  EXPECT_EQ(readings.Between(0, 9000 * kMs).size(), 1u);
}

TEST(RemoteGpuMeterTest, WithoutAChannelThereAreNoFigures) {
  RemoteGpuMeter meter(nullptr);
  RegattaInfo info;
  PointTimeline timeline;
  meter.Finish(ClusterDescription(), 0, info, timeline);
  EXPECT_FALSE(info.has_energy());
  EXPECT_EQ(timeline.gpus_size(), 0);
}

}  // namespace
}  // namespace regatta
