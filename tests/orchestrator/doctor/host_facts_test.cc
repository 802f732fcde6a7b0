// Files of a made-up /proc and /sys to facts.
#include "orchestrator/doctor/host_facts.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "tests/testing/temp_dir.h"

namespace regatta {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

class Host {
 public:
  Host() {
    Write("proc/self/status", "Name:\tregatta\nCpus_allowed_list:\t0-1,4\n");
    Write("proc/self/limits",
          "Limit                     Soft Limit           Hard Limit           Units     \n"
          "Max open files            1024                 524288               files     \n"
          "Max locked memory         unlimited            unlimited            bytes     \n");
    Write("proc/meminfo", "MemTotal:       16384 kB\nMemFree:        1 kB\n");
  }
  void Write(const std::string& name, const std::string& text) const {
    std::filesystem::create_directories(std::filesystem::path(dir_.File(name)).parent_path());
    dir_.Write(name, text);
  }
  HostFacts Read() const { return ReadHostFacts(dir_.path()); }

 private:
  TempDir dir_;
};

TEST(HostFacts, CpuLists) {
  EXPECT_THAT(ParseCpuList("0-3,8"), ElementsAre(0, 1, 2, 3, 8));
  EXPECT_THAT(ParseCpuList("7"), ElementsAre(7));
  EXPECT_THAT(ParseCpuList(""), IsEmpty());
  EXPECT_THAT(ParseCpuList("1,oops,2"), ElementsAre(1));
}

TEST(HostFacts, ProcessAndMemory) {
  const Host host;
  const HostFacts facts = host.Read();
  EXPECT_THAT(facts.cpus, ElementsAre(0, 1, 4));
  EXPECT_EQ(facts.open_files, 1024u);
  EXPECT_EQ(facts.locked_memory, std::nullopt) << "unlimited";
  EXPECT_EQ(facts.memory_bytes, 16u << 20);
  EXPECT_EQ(facts.shared_memory, std::nullopt) << "there is no dev/shm below this root";
  EXPECT_EQ(facts.cpu_quota, std::nullopt);
  EXPECT_EQ(facts.memory_limit, std::nullopt);
}

TEST(HostFacts, GovernorsOfTheCpusThatMayBeUsed) {
  const Host host;
  for (const char* cpu : {"0", "1", "2"}) {
    host.Write(std::string("sys/devices/system/cpu/cpu") + cpu + "/cpufreq/scaling_governor",
               cpu[0] == '1' ? "performance\n" : "powersave\n");
  }
  EXPECT_EQ(host.Read().governors,
            (std::map<std::string, int>{{"performance", 1}, {"powersave", 1}}));
}

TEST(HostFacts, LimitsOfTheInnermostAndOuterGroupsOfVersionTwo) {
  const Host host;
  host.Write("proc/self/cgroup", "0::/pods/mine\n");
  host.Write("sys/fs/cgroup/pods/mine/cpu.max", "max 100000\n");
  host.Write("sys/fs/cgroup/pods/cpu.max", "250000 100000\n");
  host.Write("sys/fs/cgroup/pods/mine/memory.max", "1073741824\n");
  host.Write("sys/fs/cgroup/pods/memory.max", "2147483648\n");
  EXPECT_EQ(host.Read().cpu_quota, 2.5);
  EXPECT_EQ(host.Read().memory_limit, 1u << 30);
}

TEST(HostFacts, LimitsOfVersionOne) {
  const Host host;
  host.Write("proc/self/cgroup", "4:cpu,cpuacct:/job\n3:memory:/job\n");
  host.Write("sys/fs/cgroup/cpu/job/cpu.cfs_quota_us", "150000\n");
  host.Write("sys/fs/cgroup/cpu/job/cpu.cfs_period_us", "100000\n");
  host.Write("sys/fs/cgroup/memory/job/memory.limit_in_bytes", "4294967296\n");
  host.Write("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
  EXPECT_EQ(host.Read().cpu_quota, 1.5);
  EXPECT_EQ(host.Read().memory_limit, uint64_t{4} << 30);
}

TEST(HostFacts, NumaNodes) {
  const Host host;
  host.Write("sys/devices/system/node/online", "0-1\n");
  host.Write("sys/devices/system/node/node0/cpulist", "0-1\n");
  host.Write("sys/devices/system/node/node1/cpulist", "2-3\n");
  host.Write("proc/sys/kernel/numa_balancing", "1\n");
  const HostFacts facts = host.Read();
  ASSERT_EQ(facts.numa_nodes.size(), 2u);
  EXPECT_THAT(facts.numa_nodes.at(1), ElementsAre(2, 3));
  EXPECT_TRUE(facts.numa_balancing);
}

TEST(HostFacts, ThisHostIsReadable) {
  const HostFacts facts = ReadHostFacts("");
  EXPECT_FALSE(facts.cpus.empty());
  EXPECT_GT(facts.memory_bytes, 0u);
}

}  // namespace
}  // namespace regatta
