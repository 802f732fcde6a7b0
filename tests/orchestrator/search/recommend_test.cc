// `regatta recommend` and `sweep --adaptive` as people type them: against null servers, and against
// CPU ranks that are reconfigured while they serve.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "common/config.h"
#include "orchestrator/benchmark/run_directory.h"
#include "orchestrator/cluster/child_process.h"
#include "orchestrator/cluster/cluster_client.h"
#include "orchestrator/grpc/null_server.h"
#include "orchestrator/workload/dataset.h"
#include "tests/testing/served_model.h"
#include "tests/testing/temp_dir.h"

namespace regatta {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::AnyOf;
using ::testing::ElementsAre;
using ::testing::Eq;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr char kDone[] = "exit code 0";

std::string Contents(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

std::vector<uint32_t> LoadsOf(const SearchReport& search) {
  std::vector<uint32_t> loads;
  for (const SearchedLoad& load : search.loads()) loads.push_back(load.concurrency());
  return loads;
}

class RecommendTest : public ::testing::Test {
 protected:
  void Serve(int64_t interval_ms) {
    auto server = NullServer::Start("127.0.0.1:0", {0, interval_ms * 1'000'000, 1}, TlsOptions());
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
    url_ = absl::StrCat("grpc://", server_->address());
    std::vector<DatasetEntry> entries(400);
    for (uint32_t i = 0; i < entries.size(); ++i) {
      entries[i].task_id = absl::StrCat("task-", i);
      entries[i].input_ids.assign(4, i + 1);
      entries[i].output_tokens = 8;
    }
    ASSERT_TRUE(WriteDataset(entries, dir_.File("data.jsonl")).ok());
  }

  // A small `regatta <name>` against url_; the words of `more` follow.
  std::string Command(const std::string& name, const std::string& more) const {
    return absl::StrCat(name, " --url ", url_, " --num-requests 8 --warmup 1 --no-calibrate",
                        " --output ", dir_.File("runs"), " --dataset ", dir_.File("data.jsonl"),
                        " ", more);
  }

  std::unique_ptr<ChildProcess> Start(const std::string& command) {
    fs::remove(dir_.File("log"));
    const std::vector<std::string> arguments =
        absl::StrSplit(absl::StrCat(REGATTA_BIN_DIR "/regatta ", command), ' ');
    auto child = ChildProcess::Start("regatta", arguments, dir_.File("log"));
    EXPECT_TRUE(child.ok()) << child.status();
    return *std::move(child);
  }
  std::string Await(ChildProcess& child) {
    const absl::Time deadline = absl::Now() + absl::Seconds(120);
    while (absl::Now() < deadline) {
      if (const auto ended = child.Ended(); ended.has_value()) return *ended;
      absl::SleepFor(absl::Milliseconds(5));
    }
    return "still running";
  }
  std::string Run(const std::string& command) { return Await(*Start(command)); }

  std::string Log() const { return Contents(dir_.File("log")); }
  // The directory of the only run; "" before there is one.
  std::string RunPath() const {
    std::error_code none;
    for (const auto& entry : fs::directory_iterator(dir_.File("runs"), none)) {
      if (fs::exists(entry.path() / "results.json")) return entry.path().string();
    }
    return "";
  }
  SweepReport Results() const {
    const auto sweep = LoadResults(RunPath());
    EXPECT_TRUE(sweep.ok()) << sweep.status() << Log();
    return sweep.value_or(SweepReport());
  }

  TempDir dir_;
  std::unique_ptr<NullServer> server_;
  std::string url_;
};

TEST_F(RecommendTest, AGoalThatNobodyMeetsIsToldWithWhatIsMissed) {
  Serve(1);
  ASSERT_EQ(
      Run(Command("recommend", "--min-user-speed 900000 --max-ttft 1.5s --max-concurrency 4")),
      kDone)
      << Log();
  const SweepReport sweep = Results();
  EXPECT_EQ(sweep.recommendation().goal(), "user-speed");
  EXPECT_EQ(sweep.recommendation().max_ttft_ms(), 1500);
  EXPECT_EQ(sweep.recommendation().concurrency(), 0u);
  EXPECT_THAT(sweep.recommendation().limited_by(), HasSubstr("c=1: mean speed"));
  EXPECT_THAT(LoadsOf(sweep.search()), AnyOf(ElementsAre(1, 2), ElementsAre(1, 2, 4)));
  EXPECT_THAT(Log(), HasSubstr("No load meets it: c=1: mean speed"));
  EXPECT_FALSE(fs::exists(RunPath() + "/tuned.yaml"));
}

TEST_F(RecommendTest, ASearchThatWasKilledGoesOn) {
  Serve(5);
  auto child = Start(Command("recommend", "--goal throughput --max-concurrency 4 --repeats 2"));
  const absl::Time deadline = absl::Now() + absl::Seconds(90);
  while (absl::Now() < deadline && (RunPath().empty() || Results().runs_size() < 2)) {
    absl::SleepFor(absl::Milliseconds(2));
  }
  ::kill(child->pid(), SIGKILL);
  Await(*child);
  const SweepReport begun = Results();
  ASSERT_FALSE(begun.completed());
  ASSERT_EQ(Run("recommend --resume " + RunPath()), kDone) << Log();
  const SweepReport sweep = Results();
  EXPECT_TRUE(sweep.completed());
  ASSERT_GE(sweep.runs_size(), begun.runs_size());
  for (int i = 0; i < begun.runs_size(); ++i) {
    EXPECT_EQ(sweep.runs(i).SerializeAsString(), begun.runs(i).SerializeAsString()) << i;
  }
  const std::vector<uint32_t> loads = LoadsOf(sweep.search());
  EXPECT_EQ(std::set<uint32_t>(loads.begin(), loads.end()).size(), loads.size());
  EXPECT_THAT(loads, ::testing::Contains(sweep.recommendation().concurrency()));
  EXPECT_EQ(sweep.recommendation().confirmed().runs(), 2u);
  EXPECT_EQ(Run("recommend --resume " + RunPath()), kDone);
  EXPECT_THAT(Log(), HasSubstr("nothing is missing"));
}

// Two requests do not say how many users ran: the same load with four times as many.
TEST_F(RecommendTest, ALoadThatIsTooShortToTellIsMeasuredAgain) {
  Serve(1);
  const std::string command =
      Command("recommend", "--goal ttft --max-ttft 60s --max-concurrency 1 --repeats 2");
  ASSERT_EQ(Run(absl::StrReplaceAll(command, {{"--num-requests 8", "--num-requests 2"}})), kDone)
      << Log();
  const SweepReport sweep = Results();
  ASSERT_GE(sweep.runs_size(), 2);
  EXPECT_EQ(sweep.runs(0).regatta().search_role(), "too-short");
  EXPECT_EQ(sweep.runs(0).regatta().issued_requests(), 2u);
  EXPECT_EQ(sweep.runs(1).regatta().search_role(), "search");
  EXPECT_EQ(sweep.runs(1).regatta().issued_requests(), 8u);
  EXPECT_THAT(LoadsOf(sweep.search()), ElementsAre(1));
  EXPECT_THAT(Log(), HasSubstr("too short to tell how many ran: 2 requests were sent, 8 are"));
  EXPECT_THAT(Log(), HasSubstr("again, four times as long"));
}

TEST_F(RecommendTest, LimitsThatTheServerRefusesAreSaidAndItsOwnStay) {
  Serve(1);
  EXPECT_EQ(Run(Command("recommend", "--goal throughput --max-concurrency 2 --repeats 2 --apply")),
            "exit code 2")
      << Log();
  const SweepReport sweep = Results();
  const AppliedLimits& applied = sweep.recommendation().applied();
  EXPECT_FALSE(applied.kept());
  EXPECT_THAT(applied.verdict(), HasSubstr("the server kept its own"));
  EXPECT_FALSE(sweep.completed());
}

TEST_F(RecommendTest, WhatHasNoMeaningIsRefusedWithWhatToDo) {
  Serve(1);
  const auto refused = [&](const std::string& flags, const std::string& why) {
    EXPECT_EQ(Run(Command("recommend", flags)), "exit code 2") << Log();
    EXPECT_THAT(Log(), HasSubstr(why));
  };
  refused("--max-concurrency 40000", "--max-concurrency is 40000, must be at most 32768");
  refused("--max-concurrency 4 --repeats 1", "must be at least 2");
  refused("--max-concurrency 4 --no-streaming", "neither a speed nor a first token");
  refused("--max-concurrency 4 --user-speed 5", "--min-user-speed");
  url_ = "http://127.0.0.1:1";
  refused("--max-concurrency 4 --apply", "grpc://HOST:PORT");
  EXPECT_THAT(Run(Command("recommend", "--goal speed")), Not(Eq(kDone)));
  EXPECT_THAT(Log(), HasSubstr("user-speed"));
}

TEST_F(RecommendTest, AnAdaptiveSweepChoosesItsLoadsAndRepeatsThem) {
  Serve(2);
  ASSERT_EQ(Run(Command("sweep", "--adaptive --max-concurrency 4 --repeats 2")), kDone) << Log();
  const SweepReport sweep = Results();
  EXPECT_FALSE(sweep.has_recommendation());
  EXPECT_FALSE(sweep.search().ended().empty());
  EXPECT_GE(sweep.search().loads_size(), 2);
  EXPECT_EQ(sweep.points_size(), sweep.search().loads_size());
  EXPECT_EQ(sweep.runs_size(), 2 * sweep.search().loads_size());
  for (const PointRepeats& repeats : sweep.repeats()) EXPECT_EQ(repeats.runs(), 2u);
  EXPECT_THAT(Log(), HasSubstr("Search: "));
  EXPECT_THAT(Contents(RunPath() + "/report.html"), HasSubstr("<h2>Search</h2>"));
  EXPECT_EQ(Run(Command("sweep", "--adaptive --concurrency 1,2")), "exit code 2");
  EXPECT_THAT(Log(), HasSubstr("leave --concurrency out"));
}

// A router with CPU ranks, which takes the tuned limits while it serves.
class ServedRecommendTest : public RecommendTest {
 protected:
  void SetUp() override {
    auto cluster = testing::LaunchModel(
        "regatta-dense", 1,
        {"--max-batch-size", "16", "--max-num-tokens", "512", "--max-seq-len", "256"});
    ASSERT_TRUE(cluster.ok()) << cluster.status();
    cluster_ = *std::move(cluster);
    url_ = absl::StrCat("grpc://", cluster_->router_address());
  }
  std::string Tune(uint32_t requests) const {
    return absl::StrCat("recommend --apply --goal throughput --max-concurrency 4 --repeats 2",
                        " --num-requests ", requests, " --warmup 1 --target-input-len 16",
                        " --target-output-len 8 --no-calibrate --url ", url_, " --output ",
                        dir_.File("runs"), " --model ", testing::BundledModel("regatta-dense"));
  }
  Limits LimitsNow() const {
    const auto description = DescribeCluster(cluster_->channel(), absl::Seconds(30));
    EXPECT_TRUE(description.ok()) << description.status();
    return description.ok() ? description->limits() : Limits();
  }
  std::unique_ptr<LocalCluster> cluster_;
};

TEST_F(ServedRecommendTest, CtrlCWhileTunedLimitsAreTriedPutsTheOldOnesBack) {
  const auto before = ::signal(SIGINT, SIG_DFL);  // a test run in the background may ignore it
  auto child = Start(Tune(64));
  ::signal(SIGINT, before);
  const absl::Time deadline = absl::Now() + absl::Seconds(120);
  while (Log().find("Giving the server") == std::string::npos && absl::Now() < deadline) {
    absl::SleepFor(absl::Milliseconds(2));
  }
  ::kill(child->pid(), SIGINT);
  const std::string ended = Await(*child);
  ASSERT_THAT(ended, AnyOf("exit code 130", kDone)) << Log();
  const AppliedLimits applied = Results().recommendation().applied();
  if (ended == kDone) GTEST_SKIP() << "it had ended before it could be interrupted";
  EXPECT_FALSE(applied.kept());
  EXPECT_THAT(applied.verdict(), HasSubstr("the limits of before were put back"));
  EXPECT_EQ(LimitsNow().max_batch_size(), 16u);
}

TEST_F(ServedRecommendTest, KilledUnderTunedLimitsItGoesOnFromThoseOfBefore) {
  auto child = Start(Tune(64));
  const absl::Time deadline = absl::Now() + absl::Seconds(120);
  const auto tuned = [this] {  // a router that re-forms may not answer
    const auto now = DescribeCluster(cluster_->channel(), absl::Seconds(1));
    return now.ok() && now->limits().max_batch_size() == 8;
  };
  while (!tuned() && absl::Now() < deadline) absl::SleepFor(absl::Milliseconds(10));
  ::kill(child->pid(), SIGKILL);
  if (Await(*child) == kDone) GTEST_SKIP() << "it had ended before it could be killed";
  ASSERT_EQ(LimitsNow().max_batch_size(), 8u);
  EXPECT_EQ(Results().recommendation().measured_limits().max_batch_size(), 16u);
  ASSERT_EQ(Run("recommend --resume " + RunPath()), kDone) << Log();
  EXPECT_THAT(Log(), HasSubstr("Giving the server max_batch_size 16"));
  const SweepReport sweep = Results();
  EXPECT_TRUE(sweep.completed());
  const AppliedLimits& applied = sweep.recommendation().applied();
  EXPECT_EQ(applied.tuned().runs(), 2u);
  EXPECT_EQ(sweep.recommendation().measured_limits().max_batch_size(), 16u);
  EXPECT_EQ(LimitsNow().max_batch_size(), applied.kept() ? 8u : 16u);
  for (const PointReport& point : sweep.points()) {
    EXPECT_EQ(point.world_info().max_batch_size(), 16u);
  }
}

TEST_F(ServedRecommendTest, TheRouterIsTunedByItsOwnBenchmark) {
  ASSERT_EQ(Run(Tune(8)), kDone) << Log();
  const SweepReport sweep = Results();
  const Recommendation& recommendation = sweep.recommendation();
  const uint32_t users = recommendation.concurrency();
  ASSERT_GE(users, 1u);
  EXPECT_EQ(recommendation.predicted().concurrency(), users);
  EXPECT_EQ(recommendation.confirmed().runs(), 2u);
  EXPECT_EQ(recommendation.overload(recommendation.overload_size() - 1).concurrency(), 2 * users);
  EXPECT_EQ(recommendation.measured_limits().max_batch_size(), 16u);

  ServerConfig tuned;
  std::vector<std::string> ignored;
  const absl::Status loaded = LoadServerConfig(RunPath() + "/tuned.yaml", tuned, ignored);
  ASSERT_TRUE(loaded.ok()) << loaded;
  EXPECT_EQ(tuned.max_batch_size(), 8u);  // 1.25 times up to 4 users, in whole 8
  EXPECT_EQ(tuned.max_num_tokens(), 512u);
  EXPECT_EQ(tuned.max_seq_len(), 256u);

  // Whether it got worse on this machine is not for a test to say; what is said must be true.
  const AppliedLimits& applied = recommendation.applied();
  EXPECT_EQ(applied.tuned().runs(), 2u);
  EXPECT_EQ(LimitsNow().max_batch_size(), applied.kept() ? 8u : 16u);
  EXPECT_EQ(LimitsNow().max_num_tokens(), 512u);
  for (const PointReport& point : sweep.points()) {
    EXPECT_EQ(point.world_info().max_batch_size(), 16u);  // tuned runs are not among them
  }
  EXPECT_EQ(sweep.runs(sweep.runs_size() - 1).world_info().max_batch_size(), 8u);

  EXPECT_THAT(Log(), AllOf(HasSubstr("RECOMMENDATION"), HasSubstr("predicted"),
                           HasSubstr("confirmed (2 runs)"), HasSubstr("tuned (2 runs)")));
  ASSERT_EQ(Run("report " + RunPath()), kDone) << Log();
  EXPECT_THAT(Log(), HasSubstr("tuned (2 runs)"));
}

}  // namespace
}  // namespace regatta
