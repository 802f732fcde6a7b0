// Readings by hand, and a meter on the fake of NVML.
#include "orchestrator/doctor/gpu_meter.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/clock.h"
#include "orchestrator/doctor/slowdown.h"

namespace regatta {
namespace {

using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr int64_t kSecond = 1'000'000'000;

TEST(GpuReadingsTest, EnergyIsTheCountersDifference) {
  GpuReadings readings;
  readings.Add({5 * kSecond, 10'000, 100'000, 1000, 50, std::nullopt, 0});
  readings.Add({6 * kSecond, 10'500, 900'000, 1800, 70, std::nullopt, 0x4});
  readings.Add({7 * kSecond, 11'000, 500'000, 1500, 60, std::nullopt, 0x4 | 0x40});
  readings.Add({9 * kSecond, 11'800, 100'000, 300, 55, std::nullopt, kIdleGpu});
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
  readings.Add({0, std::nullopt, 100'000, std::nullopt, std::nullopt, std::nullopt, 0});
  readings.Add({2 * kSecond, std::nullopt, 300'000, std::nullopt, std::nullopt, std::nullopt, 0});
  readings.Add({3 * kSecond, std::nullopt, 300'000, std::nullopt, std::nullopt, std::nullopt, 0});
  GpuEnergy gpu;
  EXPECT_FALSE(readings.Fill(gpu));
  EXPECT_DOUBLE_EQ(gpu.joules(), 700);
  EXPECT_DOUBLE_EQ(gpu.mean_sm_clock_mhz(), 0);
  EXPECT_DOUBLE_EQ(gpu.throttled_fraction(), 0);
}

TEST(GpuReadingsTest, TheCourseBeginsWithTheLoad) {
  GpuReadings readings;
  readings.Add({4 * kSecond, 1, 90'000, 300, 40, 0, kIdleGpu});
  readings.Add({6 * kSecond, 2, 650'500, 1755, 61, 97, 0});
  readings.Add({7 * kSecond, 3, 700'000, 1700, std::nullopt, 99, 0x4});
  GpuTimeline gpu;
  readings.TakeCourse(/*start_ns=*/5 * kSecond, gpu);
  EXPECT_THAT(gpu.ms(), ElementsAre(1000, 2000));
  EXPECT_THAT(gpu.power_w(), ElementsAre(650.5, 700));
  EXPECT_THAT(gpu.sm_clock_mhz(), ElementsAre(1755, 1700));
  EXPECT_THAT(gpu.utilization(), ElementsAre(0.97, 0.99));
  EXPECT_THAT(gpu.temperature_c(), IsEmpty()) << "told only at times";
}

TEST(GpuMeterTest, ReadsAllGpusAtBothEnds) {
  auto inventory = ReadGpus(FAKE_NVML, "/nowhere");
  ASSERT_TRUE(inventory.ok()) << inventory.status();
  inventory->gpus[1].used = false;
  GpuMeter meter(FAKE_NVML, *inventory);
  RegattaInfo info;
  PointTimeline timeline;
  meter.Finish(/*start_ns=*/0, info, timeline);
  const EnergyReport& energy = info.energy();
  ASSERT_EQ(energy.gpus_size(), 2);
  EXPECT_TRUE(energy.energy_counters()) << "of the GPU with a rank";
  EXPECT_GT(energy.seconds(), 0);
  EXPECT_EQ(energy.gpus(0).name(), "Fake GPU 0");
  EXPECT_TRUE(energy.gpus(0).used());
  EXPECT_FALSE(energy.gpus(1).used());
  // 2 J for each reading after the first, of which there is at least one.
  EXPECT_GE(energy.gpus(0).joules(), 2);
  EXPECT_DOUBLE_EQ(energy.gpus(0).max_power_w(), 300);
  EXPECT_DOUBLE_EQ(energy.gpus(0).mean_sm_clock_mhz(), 1755);
  EXPECT_THAT(energy.gpus(0).throttle_reasons(), ElementsAre("power cap"));
  EXPECT_GT(energy.gpus(1).joules(), 0) << "of its power";
  ASSERT_EQ(timeline.gpus_size(), 1) << "those with ranks";
  const GpuTimeline& gpu = timeline.gpus(0);
  EXPECT_EQ(gpu.index(), 0u);
  ASSERT_GE(gpu.ms_size(), 2);
  EXPECT_THAT(gpu.power_w(), Each(300)) << gpu.ShortDebugString();
  EXPECT_THAT(gpu.utilization(), Each(0.87)) << gpu.ShortDebugString();
  for (int size : {gpu.power_w_size(), gpu.sm_clock_mhz_size(), gpu.temperature_c_size(),
                   gpu.utilization_size()}) {
    EXPECT_EQ(size, gpu.ms_size());
  }
}

TEST(GpuMeterTest, ReadingsBeforeTheLoadAreNotInItsCourse) {
  auto inventory = ReadGpus(FAKE_NVML, "/nowhere");
  ASSERT_TRUE(inventory.ok()) << inventory.status();
  inventory->gpus[1].used = false;
  GpuMeter meter(FAKE_NVML, *inventory);
  RegattaInfo info;
  PointTimeline timeline;
  meter.Finish(/*start_ns=*/RealClock().NowNs(), info, timeline);
  ASSERT_EQ(timeline.gpus_size(), 1);
  // At least the reading at the end came later.
  ASSERT_GE(timeline.gpus(0).ms_size(), 1);
  EXPECT_GE(timeline.gpus(0).ms(0), 0);
}

TEST(GpuMeterTest, WithoutGpusOrALibraryThereAreNoFigures) {
  RegattaInfo info;
  PointTimeline timeline;
  GpuMeter("/nowhere/libnvidia-ml.so.1", GpuInventory()).Finish(0, info, timeline);
  GpuInventory one;
  one.gpus.emplace_back();
  GpuMeter("/nowhere/libnvidia-ml.so.1", one).Finish(0, info, timeline);
  EXPECT_FALSE(info.has_energy());
  EXPECT_EQ(timeline.gpus_size(), 0);
}

}  // namespace
}  // namespace regatta
