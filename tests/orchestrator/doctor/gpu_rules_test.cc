// Each rule about GPUs, on both sides of its limit.
#include "orchestrator/doctor/gpu_rules.h"

#include <gmock/gmock.h>

#include "absl/strings/str_cat.h"
#include "tests/orchestrator/doctor/findings.h"

namespace regatta {
namespace {

using ::testing::HasSubstr;

GpuFacts GoodGpu() {
  GpuFacts gpu;
  gpu.name = "NVIDIA H100 80GB HBM3";
  gpu.compute_capability = 90;
  gpu.memory_bytes = uint64_t{80} << 30;
  gpu.power_limit_mw = gpu.power_default_mw = gpu.power_max_mw = 700'000;
  gpu.sm_clock_mhz = 345;
  gpu.sm_clock_max_mhz = 1980;
  gpu.application_clock_mhz = gpu.application_clock_default_mhz = 1980;
  gpu.slowdown_reasons = 0x1;  // idle
  gpu.mig = false;
  gpu.ecc = gpu.persistence = true;
  gpu.uncorrected_errors = 0;
  gpu.compute_mode = 0;
  gpu.fabric_state = 3;
  gpu.active_nvlinks = 18;
  return gpu;
}

GpuInventory Inventory(int count) {
  GpuInventory inventory;
  inventory.gpus.assign(count, GoodGpu());
  inventory.peer_access.assign(count, std::vector<bool>(count, true));
  return inventory;
}

// What is found when GPU 1 of four is as `change` leaves it.
HostFinding Of(const std::string& what, const std::function<void(GpuFacts&)>& change) {
  GpuInventory inventory = Inventory(4);
  change(inventory.gpus[1]);
  const std::vector<HostFinding> findings = GpuFindings(inventory);
  ExpectMendsWhereNeeded(findings);
  for (const HostFinding& finding : findings) {
    if (finding.what() == what && finding.level() != "ok") {
      EXPECT_EQ(finding.subject(), "GPU 1");
      return finding;
    }
  }
  return HostFinding();
}

TEST(GpuRules, AlikeGoodGpusShareOneLineOfEachRule) {
  for (const HostFinding& finding : GpuFindings(Inventory(4))) {
    EXPECT_EQ(finding.level(), "ok") << finding.DebugString();
    EXPECT_EQ(finding.subject(), "GPU 0,1,2,3");
  }
  EXPECT_EQ(Find(GpuFindings(Inventory(2)), "model").value(), "NVIDIA H100 80GB HBM3, 80 GiB");
}

TEST(GpuRules, AGpuThatDiffersHasItsOwnLine) {
  GpuInventory inventory = Inventory(4);
  inventory.gpus[1].power_limit_mw = inventory.gpus[3].power_limit_mw = 500'000;
  int lines = 0;
  for (const HostFinding& finding : GpuFindings(inventory)) {
    if (finding.what() != "power limit") continue;
    ++lines;
    EXPECT_EQ(finding.subject(), finding.level() == "ok" ? "GPU 0,2" : "GPU 1,3");
    if (finding.level() == "ok") continue;
    EXPECT_EQ(finding.mend(), "sudo nvidia-smi -i 1,3 -pl 700");
  }
  EXPECT_EQ(lines, 2);
}

TEST(GpuRules, Model) {
  const HostFinding finding = Of("model", [](GpuFacts& gpu) { gpu.compute_capability = 75; });
  EXPECT_EQ(finding.level(), "problem");
  EXPECT_EQ(finding.limit(), "compute capability 7.5, at least 8.0");
}

TEST(GpuRules, PowerLimit) {
  const HostFinding finding =
      Of("power limit", [](GpuFacts& gpu) { gpu.power_limit_mw = 500'000; });
  EXPECT_EQ(finding.level(), "warning");
  EXPECT_EQ(finding.value(), "500 W");
  EXPECT_EQ(finding.limit(), "default 700 W, at most 700 W");
}

TEST(GpuRules, Clocks) {
  const auto under_load = [](unsigned mhz) {
    return [=](GpuFacts& gpu) {
      gpu.slowdown_reasons = 0;
      gpu.sm_clock_mhz = mhz;
    };
  };
  EXPECT_EQ(Of("SM clock", under_load(1200)).value(), "1200 MHz");
  EXPECT_EQ(Of("SM clock", under_load(1980)).level(), "");
  const HostFinding finding =
      Of("application clock", [](GpuFacts& gpu) { gpu.application_clock_mhz = 1500; });
  EXPECT_EQ(finding.level(), "warning");
  EXPECT_EQ(finding.mend(), "sudo nvidia-smi -i 1 --reset-applications-clocks");
}

TEST(GpuRules, SlowdownHasTheLevelOfItsGravestReason) {
  const auto reasons = [](uint64_t bits) {
    return [=](GpuFacts& gpu) { gpu.slowdown_reasons = bits; };
  };
  EXPECT_EQ(Of("slowdown", reasons(0x4)).level(), "warning");
  EXPECT_EQ(Of("slowdown", reasons(0x20)).value(), "too hot (driver)");
  const HostFinding finding = Of("slowdown", reasons(0x4 | 0x40));
  EXPECT_EQ(finding.level(), "problem");
  EXPECT_EQ(finding.value(), "too hot (hardware), power cap");
  EXPECT_EQ(Of("slowdown", reasons(0x80)).level(), "problem");
  const auto hot = [](GpuFacts& gpu) {
    gpu.slowdown_reasons = 0x20;
    gpu.temperature_c = 89;
  };
  EXPECT_EQ(Of("slowdown", hot).value(), "too hot (driver), 89 C");
}

TEST(GpuRules, Modes) {
  EXPECT_EQ(Of("MIG", [](GpuFacts& gpu) { gpu.mig = true; }).mend(), "sudo nvidia-smi -i 1 -mig 0");
  EXPECT_EQ(Of("ECC", [](GpuFacts& gpu) { gpu.ecc = false; }).level(), "warning");
  EXPECT_EQ(Of("persistence", [](GpuFacts& gpu) { gpu.persistence = false; }).mend(),
            "sudo nvidia-smi -i 1 -pm 1");
  EXPECT_EQ(Of("compute mode", [](GpuFacts& gpu) { gpu.compute_mode = 2; }).level(), "problem");
}

TEST(GpuRules, MemoryErrors) {
  HostFinding finding = Of("memory errors", [](GpuFacts& gpu) { gpu.uncorrected_errors = 3; });
  EXPECT_EQ(finding.level(), "problem");
  EXPECT_EQ(finding.value(), "3 uncorrected");
  finding = Of("memory errors", [](GpuFacts& gpu) { gpu.remap_pending = true; });
  EXPECT_EQ(finding.mend(), "sudo nvidia-smi -i 1 --gpu-reset");
  finding = Of("memory errors", [](GpuFacts& gpu) { gpu.remap_failed = true; });
  EXPECT_THAT(finding.mend(), HasSubstr("must be replaced"));
}

TEST(GpuRules, OtherUsersSeenAndHidden) {
  HostFinding finding = Of("other users", [](GpuFacts& gpu) {
    gpu.processes = {41, 42};
    gpu.memory_used = uint64_t{600} << 20;
  });
  EXPECT_EQ(finding.level(), "warning");
  EXPECT_EQ(finding.value(), "process 41, 42, 600 MiB");
  finding = Of("other users", [](GpuFacts& gpu) { gpu.memory_used = uint64_t{20} << 30; });
  EXPECT_EQ(finding.value(), "hidden ones, 20 GiB");
  EXPECT_EQ(Of("other users", [](GpuFacts& gpu) { gpu.memory_used = 500 << 20; }).level(), "");
}

TEST(GpuRules, WhatTheDriverDoesNotTellIsNotFound) {
  GpuInventory inventory;
  inventory.gpus.resize(1);
  inventory.gpus[0].name = "GPU";
  for (const HostFinding& finding : GpuFindings(inventory)) {
    EXPECT_EQ(finding.level(), "ok") << finding.DebugString();
  }
}

std::string UsedWith(const std::optional<std::string>& visible, uint32_t ranks) {
  GpuInventory inventory = Inventory(4);
  for (int i = 0; i < 4; ++i) inventory.gpus[i].uuid = absl::StrCat("GPU-", i, "e-", i);
  MarkUsedGpus(visible, ranks, inventory);
  std::string used;
  for (int i = 0; i < 4; ++i) {
    if (inventory.gpus[i].used) absl::StrAppend(&used, i);
  }
  return used;
}

TEST(UsedGpus, AreThoseThatCudaShows) {
  EXPECT_EQ(UsedWith(std::nullopt, 0), "0123");
  EXPECT_EQ(UsedWith(std::nullopt, 2), "01");
  EXPECT_EQ(UsedWith("3, 1", 0), "13");
  EXPECT_EQ(UsedWith("3,1", 1), "3") << "the first rank takes the first that is named";
  EXPECT_EQ(UsedWith("GPU-2e,0", 0), "02");
  EXPECT_EQ(UsedWith("1,7,2", 0), "1") << "CUDA stops at what is not there";
  for (const char* none : {"", "-1", "GPU-9", "MIG-2e"}) EXPECT_EQ(UsedWith(none, 0), "") << none;
}

TEST(UsedGpus, OthersAreNotedAtMost) {
  GpuInventory inventory = Inventory(3);
  inventory.gpus[1].ecc = false;
  inventory.gpus[1].mig = true;
  inventory.gpus[1].active_nvlinks = 0;
  inventory.gpus[1].fabric_state = 1;
  inventory.peer_access[0][1] = false;
  MarkUsedGpus("0,2", 0, inventory);
  std::vector<HostFinding> findings = GpuFindings(inventory);
  for (const HostFinding& finding : TopologyFindings(inventory, HostFacts())) {
    findings.push_back(finding);
  }
  ExpectMendsWhereNeeded(findings);
  std::vector<std::string> noted;
  for (const HostFinding& finding : findings) {
    if (finding.level() == "ok") continue;
    EXPECT_EQ(finding.level(), "note") << finding.DebugString();
    EXPECT_EQ(finding.subject(), "GPU 1");
    noted.push_back(finding.what());
  }
  EXPECT_THAT(noted, ::testing::ElementsAre("MIG", "ECC", "NVSwitch fabric"));
  MarkUsedGpus("2", 0, inventory);
  for (const HostFinding& finding : TopologyFindings(inventory, HostFacts())) {
    EXPECT_NE(finding.subject(), "GPUs") << "one GPU has no peer";
  }
}

TEST(TopologyRules, GoodAndSingleGpus) {
  for (const HostFinding& finding : TopologyFindings(Inventory(8), HostFacts())) {
    EXPECT_EQ(finding.level(), "ok") << finding.DebugString();
  }
  EXPECT_EQ(Find(TopologyFindings(Inventory(8), HostFacts()), "NVLink").value(), "18 links each");
  EXPECT_EQ(TopologyFindings(Inventory(1), HostFacts()).size(), 1u) << "only the fabric";
  EXPECT_TRUE(TopologyFindings(Inventory(0), HostFacts()).empty());
}

TEST(TopologyRules, PeerAccessNamesThePairs) {
  GpuInventory inventory = Inventory(3);
  inventory.peer_access[2][0] = false;
  inventory.peer_access[1][2] = false;
  const auto findings = TopologyFindings(inventory, HostFacts());
  ExpectMendsWhereNeeded(findings);
  EXPECT_EQ(Find(findings, "peer access").level(), "warning");
  EXPECT_EQ(Find(findings, "peer access").value(), "not between 0-2, 1-2");
}

TEST(TopologyRules, NvLinksMissingAndUneven) {
  GpuInventory inventory = Inventory(2);
  inventory.gpus[1].active_nvlinks = 16;
  const HostFinding uneven = Find(TopologyFindings(inventory, HostFacts()), "NVLink");
  EXPECT_EQ(uneven.level(), "problem");
  EXPECT_EQ(uneven.value(), "18, 16 links by GPU");
  inventory.gpus[0].active_nvlinks = inventory.gpus[1].active_nvlinks = 0;
  EXPECT_EQ(Find(TopologyFindings(inventory, HostFacts()), "NVLink").level(), "warning");
}

TEST(TopologyRules, FabricOfNvSwitch) {
  GpuInventory inventory = Inventory(1);
  inventory.gpus[0].fabric_state = 2;
  const HostFinding finding = Find(TopologyFindings(inventory, HostFacts()), "NVSwitch fabric");
  EXPECT_EQ(finding.level(), "problem");
  EXPECT_EQ(finding.mend(), "sudo systemctl restart nvidia-fabricmanager");
  inventory.gpus[0].fabric_state = 0;
  EXPECT_TRUE(TopologyFindings(inventory, HostFacts()).empty()) << "no NVSwitch";
}

TEST(TopologyRules, CpusNextToTheGpu) {
  GpuInventory inventory = Inventory(1);
  inventory.gpus[0].numa_node = 1;
  HostFacts host;
  host.numa_nodes = {{0, {0, 1}}, {1, {2, 3}}};
  host.cpus = {0, 1};
  const HostFinding finding = Find(TopologyFindings(inventory, host), "NUMA node");
  EXPECT_EQ(finding.level(), "warning");
  EXPECT_EQ(finding.mend(), "numactl --cpunodebind=1 regatta ...");
  host.cpus = {1, 2};
  EXPECT_EQ(Find(TopologyFindings(inventory, host), "NUMA node").level(), "ok");
}

}  // namespace
}  // namespace regatta
