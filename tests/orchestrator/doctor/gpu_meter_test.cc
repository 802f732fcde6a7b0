// A meter on the fake of NVML.
#include "orchestrator/doctor/gpu_meter.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/clock.h"

namespace regatta {
namespace {

using ::testing::Each;
using ::testing::ElementsAre;

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
