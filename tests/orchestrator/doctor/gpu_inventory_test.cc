// NVML's answers, from a fake of its library.
#include "orchestrator/doctor/gpu_inventory.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>

#include "tests/testing/temp_dir.h"

namespace regatta {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(GpuFacts, EverythingThatAGpuTells) {
  const TempDir root;
  const std::string pci = root.File("sys/bus/pci/devices/0000:ab:00.0");
  std::filesystem::create_directories(pci);
  root.Write("sys/bus/pci/devices/0000:ab:00.0/numa_node", "1\n");
  const auto inventory = ReadGpus(FAKE_NVML, root.path());
  ASSERT_TRUE(inventory.ok()) << inventory.status();
  EXPECT_EQ(inventory->driver_version, "580.65.06");
  EXPECT_EQ(inventory->cuda_version, 13000);
  ASSERT_EQ(inventory->gpus.size(), 2u);
  const GpuFacts& gpu = inventory->gpus[0];
  EXPECT_EQ(gpu.name, "Fake GPU 0");
  EXPECT_EQ(gpu.compute_capability, 90);
  EXPECT_EQ(gpu.pci_id, "0000:ab:00.0");
  EXPECT_EQ(gpu.numa_node, 1);
  EXPECT_EQ(gpu.memory_bytes, uint64_t{80} << 30);
  EXPECT_EQ(gpu.memory_used, 5u << 20);
  EXPECT_EQ(gpu.ecc, true);
  EXPECT_EQ(gpu.uncorrected_errors, 10u) << "uncorrected, volatile";
  EXPECT_TRUE(gpu.remap_pending);
  EXPECT_FALSE(gpu.remap_failed);
  EXPECT_EQ(gpu.power_limit_mw, 500'000u);
  EXPECT_EQ(gpu.power_default_mw, 700'000u);
  EXPECT_EQ(gpu.power_max_mw, 750'000u);
  EXPECT_EQ(gpu.sm_clock_mhz, 1755u);
  EXPECT_EQ(gpu.sm_clock_max_mhz, 1980u);
  EXPECT_EQ(gpu.memory_clock_max_mhz, 2619u);
  EXPECT_EQ(gpu.uuid, "GPU-00000000-0000-0000-0000-000000000000");
  EXPECT_EQ(gpu.slowdown_reasons, 4u);
  EXPECT_EQ(gpu.mig, false);
  EXPECT_EQ(gpu.persistence, true);
  EXPECT_EQ(gpu.fabric_state, 3u);
  EXPECT_EQ(gpu.active_nvlinks, 12);
  EXPECT_EQ(gpu.temperature_c, 61u);
  EXPECT_THAT(gpu.processes, ElementsAre(100, 101));
  EXPECT_THAT(inventory->peer_access,
              ElementsAre(ElementsAre(true, true), ElementsAre(false, true)));
}

TEST(GpuFacts, WhatAGpuOrLibraryDoesNotTellStaysEmpty) {
  const auto inventory = ReadGpus(FAKE_NVML, "/nowhere");
  ASSERT_TRUE(inventory.ok()) << inventory.status();
  const GpuFacts& gpu = inventory->gpus[1];
  EXPECT_EQ(gpu.memory_bytes, uint64_t{40} << 30) << "of the older call";
  EXPECT_EQ(gpu.ecc, std::nullopt);
  EXPECT_EQ(gpu.power_limit_mw, std::nullopt);
  EXPECT_EQ(gpu.application_clock_mhz, std::nullopt) << "the fake lacks that call";
  EXPECT_EQ(gpu.numa_node, std::nullopt);
  EXPECT_EQ(gpu.mig, true);
}

TEST(GpuFacts, NoLibraryAndNoDriverAreNotFound) {
  EXPECT_EQ(ReadGpus("libno-such-thing.so.1", "").status().code(), absl::StatusCode::kNotFound);
  ::setenv("REGATTA_FAKE_NVML", "9", 1);
  const absl::Status absent = ReadGpus(FAKE_NVML, "").status();
  ::setenv("REGATTA_FAKE_NVML", "18", 1);
  const absl::Status broken = ReadGpus(FAKE_NVML, "").status();
  ::unsetenv("REGATTA_FAKE_NVML");
  EXPECT_EQ(absent.code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(absent.message(), HasSubstr("Driver Not Loaded"));
  EXPECT_EQ(broken.code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(broken.message(), HasSubstr("Version Mismatch"));
}

}  // namespace
}  // namespace regatta
