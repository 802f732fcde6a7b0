// Readings by hand.
#include "orchestrator/doctor/gpu_readings.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "orchestrator/doctor/slowdown.h"

namespace regatta {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr int64_t kSecond = 1'000'000'000;

using Value = std::optional<unsigned>;

GpuReading Reading(int64_t time_ns, Value energy_mj, unsigned power_mw, Value clock_mhz,
                   Value temperature_c, Value utilization_percent, uint64_t slowdown_reasons) {
  GpuReading reading;
  reading.set_time_ns(time_ns);
  if (energy_mj.has_value()) reading.set_energy_mj(*energy_mj);
  reading.set_power_mw(power_mw);
  if (clock_mhz.has_value()) reading.set_sm_clock_mhz(*clock_mhz);
  if (temperature_c.has_value()) reading.set_temperature_c(*temperature_c);
  if (utilization_percent.has_value()) reading.set_utilization_percent(*utilization_percent);
  reading.set_slowdown_reasons(slowdown_reasons);
  return reading;
}

TEST(GpuReadingsTest, EnergyIsTheCountersDifference) {
  GpuReadings readings;
  readings.Add(Reading(5 * kSecond, 10'000, 100'000, 1000, 50, std::nullopt, 0));
  readings.Add(Reading(6 * kSecond, 10'500, 900'000, 1800, 70, std::nullopt, 0x4));
  readings.Add(Reading(7 * kSecond, 11'000, 500'000, 1500, 60, std::nullopt, 0x4 | 0x40));
  readings.Add(Reading(9 * kSecond, 11'800, 100'000, 300, 55, std::nullopt, kIdleGpu));
  GpuEnergy gpu;
  EXPECT_TRUE(readings.Fill(gpu));
  EXPECT_DOUBLE_EQ(readings.seconds(), 4);
  EXPECT_DOUBLE_EQ(gpu.joules(), 1.8);
  EXPECT_DOUBLE_EQ(gpu.mean_power_w(), 0.45);
  EXPECT_DOUBLE_EQ(gpu.max_power_w(), 900);
  EXPECT_DOUBLE_EQ(gpu.max_temperature_c(), 70);
  EXPECT_DOUBLE_EQ(gpu.min_sm_clock_mhz(), 1000) << "an idle GPU's clock does not count";
  EXPECT_NEAR(gpu.mean_sm_clock_mhz(), 4300.0 / 3, 1e-9);
  EXPECT_DOUBLE_EQ(gpu.throttled_fraction(), 0.5);
  EXPECT_THAT(gpu.throttle_reasons(), ElementsAre("too hot (hardware)", "power cap"));
}

TEST(GpuReadingsTest, WithoutACounterPowerIsIntegrated) {
  GpuReadings readings;
  readings.Add(Reading(0, std::nullopt, 100'000, std::nullopt, std::nullopt, std::nullopt, 0));
  readings.Add(
      Reading(2 * kSecond, std::nullopt, 300'000, std::nullopt, std::nullopt, std::nullopt, 0));
  readings.Add(
      Reading(3 * kSecond, std::nullopt, 300'000, std::nullopt, std::nullopt, std::nullopt, 0));
  GpuEnergy gpu;
  EXPECT_FALSE(readings.Fill(gpu));
  EXPECT_DOUBLE_EQ(gpu.joules(), 700);
  EXPECT_DOUBLE_EQ(gpu.mean_sm_clock_mhz(), 0);
  EXPECT_DOUBLE_EQ(gpu.throttled_fraction(), 0);
}

TEST(GpuReadingsTest, TheCourseBeginsWithTheLoad) {
  GpuReadings readings;
  readings.Add(Reading(4 * kSecond, 1, 90'000, 300, 40, 0, kIdleGpu));
  readings.Add(Reading(6 * kSecond, 2, 650'500, 1755, 61, 97, 0));
  readings.Add(Reading(7 * kSecond, 3, 700'000, 1700, std::nullopt, 99, 0x4));
  GpuTimeline gpu;
  readings.TakeCourse(/*start_ns=*/5 * kSecond, gpu);
  EXPECT_THAT(gpu.ms(), ElementsAre(1000, 2000));
  EXPECT_THAT(gpu.power_w(), ElementsAre(650.5, 700));
  EXPECT_THAT(gpu.sm_clock_mhz(), ElementsAre(1755, 1700));
  EXPECT_THAT(gpu.utilization(), ElementsAre(0.97, 0.99));
  EXPECT_THAT(gpu.temperature_c(), IsEmpty()) << "told only at times";
}

}  // namespace
}  // namespace regatta
