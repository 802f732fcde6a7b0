// Each rule about the host, on both sides of its limit.
#include "orchestrator/doctor/host_rules.h"

#include <gmock/gmock.h>

#include <numeric>

#include "tests/orchestrator/doctor/findings.h"

namespace regatta {
namespace {

using ::testing::HasSubstr;

// A host with eight GPUs and nothing to complain of.
HostFacts GoodHost() {
  HostFacts facts;
  facts.cpus.resize(64);
  std::iota(facts.cpus.begin(), facts.cpus.end(), 0);
  facts.governors = {{"performance", 64}};
  facts.memory_bytes = uint64_t{512} << 30;
  facts.shared_memory = uint64_t{64} << 30;
  facts.open_files = 1 << 20;
  facts.numa_nodes = {{0, {0, 1}}, {1, {2, 3}}};
  return facts;
}

HostFinding Of(const HostFacts& facts, const std::string& what, int num_gpus = 8) {
  const std::vector<HostFinding> findings = HostFindings(facts, num_gpus);
  ExpectMendsWhereNeeded(findings);
  return Find(findings, what);
}

TEST(HostRules, AGoodHostIsOkThroughout) {
  for (const HostFinding& finding : HostFindings(GoodHost(), 8)) {
    EXPECT_EQ(finding.level(), "ok") << finding.DebugString();
    EXPECT_EQ(finding.subject(), "host");
  }
}

TEST(HostRules, Governor) {
  HostFacts facts = GoodHost();
  facts.governors = {{"performance", 60}, {"powersave", 4}};
  const HostFinding finding = Of(facts, "CPU governor");
  EXPECT_EQ(finding.level(), "warning");
  EXPECT_EQ(finding.value(), "performance on 60 CPUs, powersave on 4 CPUs");
  EXPECT_EQ(finding.mend(), "sudo cpupower frequency-set -g performance");
  facts.governors.clear();
  EXPECT_EQ(Of(facts, "CPU governor").level(), "ok");
}

TEST(HostRules, CpusAreCountedPerGpuAndByQuota) {
  HostFacts facts = GoodHost();
  facts.cpus.resize(32);
  EXPECT_EQ(Of(facts, "CPUs").level(), "ok");
  facts.cpus.resize(31);
  EXPECT_EQ(Of(facts, "CPUs").level(), "warning");
  EXPECT_EQ(Of(facts, "CPUs", /*num_gpus=*/1).level(), "ok");
  facts = GoodHost();
  facts.cpu_quota = 3.5;
  const HostFinding finding = Of(facts, "CPUs");
  EXPECT_EQ(finding.level(), "warning");
  EXPECT_EQ(finding.value(), "64, quota of 3.5");
  EXPECT_EQ(finding.limit(), "at least 32");
  EXPECT_THAT(finding.mend(), HasSubstr("--cpus 32"));
}

TEST(HostRules, MemoryLimit) {
  HostFacts facts = GoodHost();
  facts.memory_limit = uint64_t{63} << 30;
  const HostFinding finding = Of(facts, "memory");
  EXPECT_EQ(finding.level(), "warning");
  EXPECT_EQ(finding.value(), "512 GiB, limited to 63 GiB");
  EXPECT_THAT(finding.mend(), HasSubstr("--memory 64g"));
  facts.memory_limit = uint64_t{64} << 30;
  EXPECT_EQ(Of(facts, "memory").level(), "ok");
}

TEST(HostRules, SharedMemoryMattersBetweenGpusOnly) {
  HostFacts facts = GoodHost();
  facts.shared_memory = uint64_t{64} << 20;
  const HostFinding finding = Of(facts, "/dev/shm");
  EXPECT_EQ(finding.level(), "warning");
  EXPECT_EQ(finding.value(), "64 MiB");
  EXPECT_EQ(Of(facts, "/dev/shm", 1).level(), "ok");
  facts.shared_memory = std::nullopt;
  EXPECT_EQ(Of(facts, "/dev/shm").value(), "not mounted");
}

TEST(HostRules, Ulimits) {
  HostFacts facts = GoodHost();
  facts.locked_memory = 8 << 20;
  EXPECT_EQ(Of(facts, "ulimit -l").level(), "ok");
  EXPECT_EQ(Of(facts, "ulimit -l", 1).level(), "ok");
  facts.open_files = 1024;
  const HostFinding finding = Of(facts, "ulimit -n", 0);
  EXPECT_EQ(finding.level(), "warning");
  EXPECT_EQ(finding.mend(), "ulimit -n 65536");
  facts.open_files = std::nullopt;
  EXPECT_EQ(Of(facts, "ulimit -n").value(), "unlimited");
}

TEST(HostRules, NumaBalancing) {
  HostFacts facts = GoodHost();
  facts.numa_balancing = true;
  EXPECT_EQ(Of(facts, "NUMA").level(), "warning");
  EXPECT_EQ(Of(facts, "NUMA", 0).level(), "ok");
  facts.numa_nodes = {{0, {0}}};
  EXPECT_EQ(Of(facts, "NUMA").level(), "ok");
}

}  // namespace
}  // namespace regatta
