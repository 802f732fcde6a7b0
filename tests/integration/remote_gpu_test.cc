// A benchmark against a router that it did not launch, whose workers read their GPUs: its results
// have what those of ranks launched here have. The ranks are CPUs', the GPUs a fake of NVML.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "orchestrator/benchmark/run_directory.h"
#include "orchestrator/cluster/child_process.h"
#include "orchestrator/report/report.h"
#include "orchestrator/workload/dataset.h"
#include "tests/testing/served_model.h"
#include "tests/testing/temp_dir.h"

namespace regatta::testing {
namespace {

namespace fs = std::filesystem;
using ::testing::Each;
using ::testing::ElementsAre;

class RemoteGpu : public ::testing::Test {
 protected:
  void SetUp() override {
    DatasetEntry entry;
    entry.input_ids = {5, 6, 7, 8};
    entry.output_tokens = 64;
    entry.synthetic = true;
    ASSERT_TRUE(WriteDataset(std::vector<DatasetEntry>(8, entry), dir_.File("data.jsonl")).ok());
  }
  ChildProcess& Start(const std::string& name, std::vector<std::string> words) {
    words[0] = absl::StrCat(REGATTA_BIN_DIR "/", words[0]);
    auto child = ChildProcess::Start(name, words, dir_.File(name + ".log"));
    EXPECT_TRUE(child.ok()) << child.status();
    children_.push_back(*std::move(child));
    return *children_.back();
  }
  std::string Worker(const std::string& gpu, const std::string& nvml) {
    const std::string file = dir_.File(absl::StrCat("address-", children_.size()));
    Start(absl::StrCat("worker-", children_.size()),
          {"regatta-worker", "--device", "cpu", "--threads", "1", "--listen", "127.0.0.1:0",
           "--address-file", file, "--gpu", gpu, "--nvml", nvml});
    return AddressIn(file);
  }
  // Empty when it does not come within a minute.
  static std::string AddressIn(const std::string& file) {
    std::string address;
    for (int i = 0; i < 3000 && !(std::ifstream(file) >> address); ++i) {
      absl::SleepFor(absl::Milliseconds(20));
    }
    return address;
  }
  // A router of two such workers, swept at one load.
  SweepReport Sweep(const std::string& workers) {
    const std::string file = dir_.File("router-address");
    Start("router", {"regatta-router", "--model", BundledModel("regatta-dense"), "--workers",
                     workers, "--tp", "2", "--listen", "127.0.0.1:0", "--address-file", file});
    ChildProcess& sweep =
        Start("sweep", {"regatta", "sweep", "--url", "grpc://" + AddressIn(file), "--dataset",
                        dir_.File("data.jsonl"), "--concurrency", "2", "--num-requests", "8",
                        "--warmup", "0", "--no-calibrate", "--run-dir", dir_.File("run")});
    for (int i = 0; i < 6000 && !sweep.Ended().has_value(); ++i) {
      absl::SleepFor(absl::Milliseconds(20));
    }
    EXPECT_EQ(sweep.Ended(), "exit code 0") << sweep.LogTail(30);
    const auto report = LoadResults(dir_.File("run"));
    EXPECT_TRUE(report.ok()) << report.status();
    return report.ok() ? *report : SweepReport();
  }

  TempDir dir_;
  std::vector<std::unique_ptr<ChildProcess>> children_;
};

TEST_F(RemoteGpu, ResultsHaveDriverLimitsEnergyAndCourse) {
  const std::string first = Worker("0000:ab:00.0", FAKE_NVML);
  const std::string second = Worker("0000:bb:00.0", FAKE_NVML);  // tells little
  const SweepReport sweep = Sweep(absl::StrCat(first, ",", second));
  const Environment& environment = sweep.environment();
  EXPECT_EQ(environment.driver(), "580.65.06");
  EXPECT_EQ(environment.driver_cuda(), "13.0");
  ASSERT_EQ(environment.gpus_size(), 2);
  EXPECT_EQ(environment.gpus(0).power_limit_w(), 500);
  EXPECT_TRUE(environment.gpus(1).used());
  ASSERT_EQ(sweep.points_size(), 1);
  const EnergyReport& energy = sweep.points(0).regatta().energy();
  ASSERT_EQ(energy.gpus_size(), 2);
  EXPECT_FALSE(energy.energy_counters()) << "the second GPU has none";
  EXPECT_GT(energy.gpus(0).joules(), 0);
  EXPECT_LE(energy.gpus(0).mean_power_w(), 5) << "2 J a reading, two a second";
  EXPECT_EQ(energy.gpus(0).max_power_w(), 300);
  EXPECT_EQ(energy.gpus(0).mean_sm_clock_mhz(), 1755);
  EXPECT_THAT(energy.gpus(0).throttle_reasons(), ElementsAre("power cap"));
  EXPECT_NEAR(energy.gpus(1).mean_power_w(), 400, 1e-6);
  EXPECT_NEAR(energy.seconds(), sweep.points(0).performance().total_latency_ms() / 1e3, 0.5)
      << "of the load, not of the wait for the last reading";
  EXPECT_DOUBLE_EQ(energy.output_tokens_per_joule(), 8 * 64 / energy.joules());
  PointTimeline timeline;
  std::string line;
  std::ifstream file(dir_.File("run/timeline.jsonl"));
  ASSERT_TRUE(std::getline(file, line) && FromJson(line, timeline).ok());
  ASSERT_EQ(timeline.gpus_size(), 2);
  EXPECT_THAT(timeline.gpus(0).power_w(), Each(300));
  EXPECT_GE(timeline.gpus(0).ms_size(), 2);
}

TEST_F(RemoteGpu, WithoutNvmlAllIsLeftOut) {
  const std::string first = Worker("0000:ab:00.0", "/nowhere/libnvidia-ml.so.1");
  const std::string second = Worker("0000:cb:00.0", FAKE_NVML);  // no such GPU
  const SweepReport sweep = Sweep(absl::StrCat(first, ",", second));
  EXPECT_EQ(sweep.environment().gpus_size(), 0);
  ASSERT_EQ(sweep.points_size(), 1);
  EXPECT_FALSE(sweep.points(0).regatta().has_energy());
}

}  // namespace
}  // namespace regatta::testing
