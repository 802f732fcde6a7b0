// What a worker tells of its GPU, from a fake of NVML.
#include "worker/gpu_watch.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include "absl/time/clock.h"
#include "common/clock.h"

namespace regatta {
namespace {

GpuIdentity Gpu(const char* pci_id) { return {pci_id, 13000, 22809}; }

WorkerDescription Describe(const GpuWatch& watch) {
  WorkerDescription description;
  watch.Describe(description);
  return description;
}

// Another reading than of `before`, or none within five seconds.
std::optional<GpuReading> Next(const GpuWatch& watch, int64_t before) {
  for (int i = 0; i < 500; ++i) {
    const std::optional<GpuReading> reading = watch.Newest();
    if (reading.has_value() && reading->time_ns() != before) return reading;
    absl::SleepFor(absl::Milliseconds(10));
  }
  return std::nullopt;
}

TEST(GpuWatchTest, FactsAndReadingsAreOfTheGpuWithThatPciId) {
  const GpuWatch watch(FAKE_NVML, Gpu("0000:ab:00.0"));
  const WorkerDescription description = Describe(watch);
  EXPECT_EQ(description.gpu_software().driver(), "580.65.06");
  EXPECT_EQ(description.gpu_software().driver_cuda(), 13000u);
  EXPECT_EQ(description.gpu_software().cuda(), 13000u);
  EXPECT_EQ(description.gpu_software().nccl(), 22809u);
  const GpuDescription& gpu = description.gpu();
  EXPECT_EQ(gpu.name(), "Fake GPU 0");
  EXPECT_EQ(gpu.pci_id(), "0000:ab:00.0");
  EXPECT_EQ(gpu.uuid(), "GPU-00000000-0000-0000-0000-000000000000");
  EXPECT_EQ(gpu.power_limit_w(), 500);
  EXPECT_EQ(gpu.default_power_limit_w(), 700);
  EXPECT_EQ(gpu.max_sm_clock_mhz(), 1980);
  EXPECT_EQ(gpu.max_memory_clock_mhz(), 2619);
  EXPECT_TRUE(gpu.used() && gpu.ecc() && gpu.has_mig() && !gpu.mig()) << gpu.ShortDebugString();

  const auto first = Next(watch, 0);
  ASSERT_TRUE(first.has_value());
  const int64_t now_ns = RealClock().NowNs();
  EXPECT_LE(first->time_ns() + first->age_ns(), now_ns);
  EXPECT_GE(watch.Newest()->time_ns() + watch.Newest()->age_ns(), now_ns) << "it ages";
  EXPECT_EQ(first->power_mw(), 300'000u);
  EXPECT_EQ(first->sm_clock_mhz(), 1755u);
  EXPECT_EQ(first->temperature_c(), 61u);
  EXPECT_EQ(first->utilization_percent(), 87u);
  EXPECT_EQ(first->slowdown_reasons(), 4u);
  const auto second = Next(watch, first->time_ns());
  ASSERT_TRUE(second.has_value());
  EXPECT_EQ(second->energy_mj() - first->energy_mj(), 2000u);
}

TEST(GpuWatchTest, WhatAGpuDoesNotTellIsAbsent) {
  const GpuWatch watch(FAKE_NVML, Gpu("0000:bb:00.0"));
  EXPECT_EQ(Describe(watch).gpu().power_limit_w(), 0);
  EXPECT_FALSE(Describe(watch).gpu().has_ecc());
  const auto reading = Next(watch, 0);
  ASSERT_TRUE(reading.has_value());
  EXPECT_FALSE(reading->has_energy_mj() || reading->has_sm_clock_mhz());
  EXPECT_EQ(reading->power_mw(), 400'000u);
}

TEST(GpuWatchTest, WithoutALibraryThatKnowsTheGpuThereIsNoneToTell) {
  const GpuWatch absent("/nowhere/libnvidia-ml.so.1", Gpu("0000:ab:00.0"));
  EXPECT_EQ(Describe(absent).gpu_software().nccl(), 22809u) << "what is known without it";
  EXPECT_EQ(Describe(absent).gpu_software().driver(), "");
  const GpuWatch another(FAKE_NVML, Gpu("0000:cb:00.0"));
  EXPECT_EQ(Describe(another).gpu_software().driver(), "580.65.06");
  ::setenv("REGATTA_FAKE_NVML", "9", 1);
  const GpuWatch silent(FAKE_NVML, Gpu("0000:ab:00.0"));
  ::unsetenv("REGATTA_FAKE_NVML");
  for (const GpuWatch* watch : {&absent, &another, &silent}) {
    EXPECT_FALSE(Describe(*watch).has_gpu());
    EXPECT_FALSE(watch->Newest().has_value());
  }
}

TEST(GpuWatchTest, ACpuRankTellsNothing) {
  const GpuWatch watch(FAKE_NVML, GpuIdentity());
  EXPECT_EQ(Describe(watch).ByteSizeLong(), 0u);
  EXPECT_FALSE(watch.Newest().has_value());
}

}  // namespace
}  // namespace regatta
