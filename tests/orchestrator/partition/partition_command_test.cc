// `regatta partition` on pools of CPU ranks: every layout is formed live, a winner is named, a pool
// that served before serves as before, and no process is left.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <random>
#include <set>
#include <sstream>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/layout.h"
#include "orchestrator/benchmark/run_directory.h"
#include "orchestrator/cluster/child_process.h"
#include "orchestrator/cluster/cluster_client.h"
#include "tests/testing/served_model.h"

namespace regatta {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Key;

constexpr absl::Duration kPatience = absl::Minutes(4);

std::string TextOf(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

// Running processes whose command line names `word`.
std::map<pid_t, std::string> ProcessesWith(const std::string& word) {
  std::map<pid_t, std::string> found;
  for (const auto& entry : fs::directory_iterator("/proc")) {
    const std::string command = TextOf(entry.path() / "cmdline");
    const pid_t pid = std::atoi(entry.path().filename().c_str());
    if (pid > 0 && absl::StrContains(command, word)) found[pid] = command;
  }
  return found;
}

class PartitionCommandTest : public ::testing::Test {
 protected:
  void SetUp() override {
    dir_ = fs::path(::testing::TempDir()) /
           absl::StrCat("partition-", ::getpid(), "-",
                        ::testing::UnitTest::GetInstance()->current_test_info()->name());
    fs::create_directories(dir_);
  }
  void TearDown() override { fs::remove_all(dir_); }

  std::unique_ptr<ChildProcess> Start(std::vector<std::string> arguments) {
    fs::remove(dir_ / "log");
    arguments.insert(arguments.begin(), {REGATTA_BIN_DIR "/regatta", "partition", "--output",
                                         (dir_ / "results").string()});
    const auto before = ::signal(SIGINT, SIG_DFL);  // a test in the background may ignore it
    auto child = ChildProcess::Start("regatta", arguments, (dir_ / "log").string());
    ::signal(SIGINT, before);
    EXPECT_TRUE(child.ok()) << child.status();
    return *std::move(child);
  }
  std::string Await(ChildProcess& child) {
    const absl::Time deadline = absl::Now() + kPatience;
    while (!child.Ended().has_value() && absl::Now() < deadline) {
      absl::SleepFor(absl::Milliseconds(20));
    }
    return child.Ended().value_or("still running");
  }
  std::string Run(std::vector<std::string> arguments) {
    return Await(*Start(std::move(arguments)));
  }
  std::string Log() const { return TextOf(dir_ / "log"); }

  SweepReport Results() const {
    const fs::path run = fs::directory_iterator(dir_ / "results")->path();
    const auto sweep = LoadResults(run.string());
    EXPECT_TRUE(sweep.ok()) << sweep.status();
    return sweep.value_or(SweepReport());
  }
  // Runs that are whole on the disk.
  int RunsOnDisk() const {
    std::error_code none;
    for (const auto& run : fs::directory_iterator(dir_ / "results", none)) {
      const auto sweep = LoadResults(run.path().string());
      if (sweep.ok()) return sweep->runs_size();
    }
    return 0;
  }
  std::string Page() const {
    return TextOf(fs::directory_iterator(dir_ / "results")->path() / "report.html");
  }

  // Short requests to the bundled model with experts.
  static std::vector<std::string> Short(std::vector<std::string> more) {
    more.insert(more.begin(),
                {"--model", testing::BundledModel("regatta-moe"), "--target-input-len", "8",
                 "--target-output-len", "6", "--warmup", "1", "--no-calibrate"});
    return more;
  }
  // Few of them at two loads.
  static std::vector<std::string> Small(std::vector<std::string> more) {
    more.insert(more.begin(), {"--concurrency", "1,4", "--num-requests", "4"});
    return Short(std::move(more));
  }
  // More than anybody waits for, at one load.
  static std::vector<std::string> Long(std::vector<std::string> more) {
    more.insert(more.begin(), {"--concurrency", "4", "--num-requests", "1000000"});
    return Short(std::move(more));
  }
  // On four CPU ranks of its own.
  static std::vector<std::string> Launched(std::vector<std::string> arguments) {
    arguments.insert(arguments.end(), {"--gpus", "4", "--device", "cpu", "--threads", "1"});
    return arguments;
  }

  // Waits until `child` shows that a load is under way.
  void AwaitLoad(ChildProcess& child) {
    const absl::Time deadline = absl::Now() + kPatience;
    while (!absl::StrContains(Log(), ", concurrency 4: ") && !child.Ended().has_value() &&
           absl::Now() < deadline) {
      absl::SleepFor(absl::Milliseconds(20));
    }
    ASSERT_FALSE(child.Ended().has_value()) << Log();
  }

  fs::path dir_;
};

std::map<std::string, std::string> FatesOf(const SweepReport& sweep) {
  std::map<std::string, std::string> fates;
  for (const PartitionCandidate& candidate : sweep.partition().candidates()) {
    fates[candidate.layout()] = candidate.fate();
  }
  return fates;
}

TEST_F(PartitionCommandTest, EveryLayoutOfFourRanksIsFormedAndAWinnerNamed) {
  ASSERT_EQ(Run(Launched(Small({"--rounds", "1", "--margin", "0", "--user-speed", "1"}))),
            "exit code 0")
      << Log();
  EXPECT_THAT(ProcessesWith(dir_.string()), IsEmpty());
  const SweepReport sweep = Results();
  EXPECT_TRUE(sweep.completed());
  const std::map<std::string, std::string> fates = FatesOf(sweep);
  EXPECT_EQ(fates.size(), 10u);
  for (const char* layout : {"dp4", "pp2-dp2", "pp4", "tp2-dp2", "tp2-ep2-dp2", "tp2-pp2",
                             "tp2-ep2-pp2", "tp4", "tp4-ep2", "tp4-ep4"}) {
    EXPECT_THAT(fates, Contains(Key(layout)));
  }
  std::set<std::string> measured;
  for (const PointReport& point : sweep.points()) measured.insert(point.regatta().layout());
  EXPECT_EQ(measured.size(), 10u);
  uint32_t swept = 0;
  for (const auto& [layout, fate] : fates) {
    EXPECT_THAT(fate, ::testing::AnyOf("swept", "dropped")) << layout;
    swept += fate == "swept";
  }
  EXPECT_GE(swept, 5u);  // the better half, and what is best at some speed
  ASSERT_GT(sweep.partition().winners_size(), 0);
  EXPECT_THAT(fates, Contains(Key(sweep.partition().winners(0).layout())));
  ASSERT_EQ(sweep.partition().speeds_size(), 1);
  EXPECT_NE(sweep.partition().speeds(0).winner_layout(), "");
  EXPECT_THAT(Log(), AllOf(HasSubstr("CANDIDATES on 4 ranks"), HasSubstr("ROUND 1"),
                           HasSubstr("layout 10/10"), HasSubstr("AT EQUAL SPEED"),
                           HasSubstr("WHICH LAYOUT WINS AT WHICH SPEED"),
                           HasSubstr("CPU ranks, not a performance figure")));
  EXPECT_THAT(Page(), AllOf(HasSubstr("Which layout wins at which speed"),
                            HasSubstr("Layouts against load")));
}

// Another precision is another launch; its points are told apart although the layout is the same.
TEST_F(PartitionCommandTest, PrecisionsAreLaunchedOneAfterTheOther) {
  ASSERT_EQ(Run(Launched(Small({"--precision", "fp32,fp32-kv", "--layouts", "tp2,dp4"}))),
            "exit code 0")
      << Log();
  EXPECT_THAT(ProcessesWith(dir_.string()), IsEmpty());
  std::map<std::string, std::set<std::string>> cache;
  const SweepReport sweep = Results();
  for (const PointReport& point : sweep.points()) {
    cache[point.regatta().precision()].insert(point.engine().kv_cache_dtype());
  }
  EXPECT_EQ(cache["fp32"], std::set<std::string>({"float32"}));
  EXPECT_EQ(cache["fp32-kv"].size(), 1u);
  EXPECT_NE(cache["fp32-kv"], cache["fp32"]);
  EXPECT_THAT(Log(), HasSubstr("tp2-dp2 fp32-kv"));
}

TEST_F(PartitionCommandTest, APoolThatServedServesAsBefore) {
  const auto cluster = testing::LaunchModel("regatta-moe", 2, {"--tp", "2"});
  ASSERT_TRUE(cluster.ok()) << cluster.status();
  const ClusterDescription before = (*cluster)->description();
  ASSERT_EQ(Run(Small({"--url", absl::StrCat("grpc://", (*cluster)->router_address()), "--layouts",
                       "pp2,dp2"})),
            "exit code 0")
      << Log();
  const auto after = DescribeCluster((*cluster)->channel(), absl::Seconds(20));
  ASSERT_TRUE(after.ok()) << after.status();
  EXPECT_EQ(LayoutName(after->layout()), "tp2");
  EXPECT_EQ(after->limits().max_num_tokens(), before.limits().max_num_tokens());
  EXPECT_EQ(after->workers(0).description().pid(), before.workers(0).description().pid());
  EXPECT_EQ(FatesOf(Results()),
            (std::map<std::string, std::string>{{"dp2", "swept"}, {"pp2", "swept"}}));
}

// What it died of may have nothing to do with the layout.
TEST_F(PartitionCommandTest, WhenARankDiesItsLayoutIsLaunchedAndMeasuredOnceMore) {
  const auto child = Start(Launched(Long({"--layouts", "tp4,pp4", "--max-time-per-point", "4"})));
  AwaitLoad(*child);
  for (const auto& [pid, command] : ProcessesWith(dir_.string())) {
    if (absl::StrContains(command, "worker-2")) ::kill(pid, SIGKILL);
  }
  EXPECT_EQ(Await(*child), "exit code 0") << Log();
  EXPECT_THAT(ProcessesWith(dir_.string()), IsEmpty());
  EXPECT_THAT(Log(), HasSubstr("It is formed and measured once more."));
  const SweepReport sweep = Results();
  ASSERT_EQ(sweep.partition().candidates_size(), 2);
  EXPECT_EQ(sweep.partition().candidates(0).fate(), "swept");
  EXPECT_EQ(sweep.partition().candidates(1).fate(), "swept");
  for (const PointReport& run : sweep.runs()) EXPECT_EQ(run.regatta().failed_requests(), 0u);
}

// Killed at any moment, with what it had launched, it goes on to the same report.
TEST_F(PartitionCommandTest, AnExperimentThatWasKilledGoesOn) {
  const std::vector<std::string> arguments =
      Launched(Small({"--layouts", "tp2,dp4,pp4", "--rounds", "1", "--margin", "1"}));
  const auto child = Start(arguments);
  const absl::Time deadline = absl::Now() + kPatience;
  const int runs = static_cast<int>(std::random_device()() % 10) + 1;
  while (RunsOnDisk() < runs && !child->Ended().has_value() && absl::Now() < deadline) {
    absl::SleepFor(absl::Milliseconds(5));
  }
  ::kill(child->pid(), SIGKILL);
  Await(*child);
  const SweepReport begun = Results();
  ASSERT_GE(begun.runs_size(), 1);
  const std::string path = fs::directory_iterator(dir_ / "results")->path().string();
  ASSERT_EQ(Run({"--resume", path}), "exit code 0") << Log();
  EXPECT_THAT(ProcessesWith(dir_.string()), IsEmpty());
  const SweepReport sweep = Results();
  EXPECT_TRUE(sweep.completed());
  EXPECT_EQ(sweep.runs_size(), 3 * 2 + 3 * 2);
  for (int i = 0; i < begun.runs_size(); ++i) {
    EXPECT_EQ(sweep.runs(i).SerializeAsString(), begun.runs(i).SerializeAsString()) << i;
  }
  EXPECT_EQ(sweep.points_size(), 6);
  for (const auto& [layout, fate] : FatesOf(sweep)) EXPECT_EQ(fate, "swept") << layout;
  EXPECT_GT(sweep.partition().winners_size(), 0);
  EXPECT_EQ(Run({"--resume", path}), "exit code 0");
  EXPECT_THAT(Log(), HasSubstr("nothing is missing"));
  EXPECT_EQ(Run({"--resume", path, "--margin", "0.2"}), "exit code 2");
  EXPECT_THAT(Log(), HasSubstr("the sweep was begun with"));
}

// The killed one left the pool in a layout of the experiment.
TEST_F(PartitionCommandTest, APoolGetsItsLayoutBackFromTheRunThatGoesOn) {
  const auto cluster = testing::LaunchModel("regatta-moe", 2, {"--tp", "2"});
  ASSERT_TRUE(cluster.ok()) << cluster.status();
  const auto child = Start(Small({"--url", absl::StrCat("grpc://", (*cluster)->router_address()),
                                  "--layouts", "pp2,dp2", "--repeats", "2"}));
  const absl::Time deadline = absl::Now() + kPatience;
  while (RunsOnDisk() < 1 && !child->Ended().has_value() && absl::Now() < deadline) {
    absl::SleepFor(absl::Milliseconds(2));
  }
  ::kill(child->pid(), SIGKILL);
  Await(*child);
  const std::string path = fs::directory_iterator(dir_ / "results")->path().string();
  ASSERT_EQ(Run({"--resume", path}), "exit code 0") << Log();
  const auto after = DescribeCluster((*cluster)->channel(), absl::Seconds(20));
  ASSERT_TRUE(after.ok()) << after.status();
  EXPECT_EQ(LayoutName(after->layout()), "tp2");
  EXPECT_EQ(Results().runs_size(), 2 * 2 * 2);
}

// The article's figure, small: precisions over a doubling load, as the help text has it.
TEST_F(PartitionCommandTest, PrecisionsOverALoadAreOneCommand) {
  ASSERT_EQ(Run({"--model",
                 testing::BundledModel("regatta-dense"),
                 "--gpus",
                 "2",
                 "--device",
                 "cpu",
                 "--threads",
                 "1",
                 "--precision",
                 "bf16,fp8-static",
                 "--dummy-weights",
                 "--concurrency",
                 "1:4:x2",
                 "--num-requests",
                 "4",
                 "--target-input-len",
                 "8",
                 "--target-output-len",
                 "4",
                 "--no-calibrate",
                 "--layouts",
                 "tp2",
                 "--repeats",
                 "2"}),
            "exit code 0")
      << Log();
  const SweepReport sweep = Results();
  EXPECT_EQ(sweep.points_size(), 2 * 3);
  EXPECT_EQ(sweep.runs_size(), 2 * 2 * 3);
  std::set<std::string> precisions;
  for (const PointReport& point : sweep.points()) precisions.insert(point.regatta().precision());
  EXPECT_EQ(precisions, (std::set<std::string>{"bf16", "fp8-static"}));
}

TEST_F(PartitionCommandTest, CtrlCLeavesNothingRunning) {
  const auto child = Start(Launched(Long({"--max-time-per-point", "200"})));
  AwaitLoad(*child);
  ::kill(child->pid(), SIGINT);
  EXPECT_EQ(Await(*child), "exit code 130") << Log();
  EXPECT_THAT(ProcessesWith(dir_.string()), IsEmpty());
}

TEST_F(PartitionCommandTest, BadCommandLinesAreRefused) {
  const auto refusal = [this](const std::vector<std::string>& arguments) {
    EXPECT_EQ(Run(Launched(Small(arguments))), "exit code 2");
    return Log();
  };
  EXPECT_THAT(refusal({"--tp", "2"}), HasSubstr("--layouts tp2-dp2,tp4 tries only those"));
  EXPECT_THAT(refusal({"--layouts", "tp8"}), HasSubstr("it needs 8 ranks, the pool has 4"));
  EXPECT_THAT(refusal({"--layouts", "tp3"}), HasSubstr("neither divides 4 KV heads"));
  EXPECT_THAT(refusal({"--precision", "int4"}), HasSubstr("'int4' is not one of fp32"));
  EXPECT_THAT(refusal({"--precision", "fp8", "--dtype", "float16"}), HasSubstr("one or the other"));
  EXPECT_THAT(refusal({"--dataset", "absent.jsonl"}), HasSubstr("absent.jsonl"));
  EXPECT_EQ(Run({"--url", "http://127.0.0.1:1", "--model", "m"}), "exit code 2");
  EXPECT_THAT(Log(), HasSubstr("only a router of ours re-forms its pool"));
  EXPECT_EQ(Run({"--model", testing::BundledModel("regatta-moe"), "--device", "cpu"}),
            "exit code 2");
  EXPECT_THAT(Log(), HasSubstr("give --gpus N"));
}

TEST_F(PartitionCommandTest, ADryRunMeasuresNothing) {
  ASSERT_EQ(Run(Launched(Small({"--dry-run"}))), "exit code 0") << Log();
  EXPECT_THAT(Log(), HasSubstr("tp2-ep2-dp2"));
  EXPECT_FALSE(fs::exists(dir_ / "results"));
}

TEST_F(PartitionCommandTest, APoolThatIsNotHereCanBeThoughtThrough) {
  const std::string model = REGATTA_SOURCE_DIR "/tests/testing/configs/llama-3.3-70b";
  ASSERT_EQ(Run({"--model", model, "--dry-run", "--gpus", "4", "--gpu", "H100", "--precision",
                 "bf16,fp8"}),
            "exit code 0")
      << Log();
  EXPECT_THAT(Log(), HasSubstr("dp4 bf16"));
  EXPECT_THAT(Log(), HasSubstr("impossible: llama-3.3-70b needs 131.42 GiB for its weights"));
  EXPECT_THAT(Log(), HasSubstr("a roofline with figures of H100"));
  EXPECT_EQ(Run({"--model", model, "--dry-run", "--gpus", "4", "--gpu", "H300"}), "exit code 2");
  EXPECT_THAT(Log(), HasSubstr("--gpu 'H300' is not known; known: H200, H100"));
}

}  // namespace
}  // namespace regatta
