// Sweeps that are killed and go on: the same points, prompts and files as a run to the end.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <random>
#include <set>
#include <sstream>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "orchestrator/benchmark/run_directory.h"
#include "orchestrator/cluster/child_process.h"
#include "orchestrator/grpc/null_server.h"
#include "orchestrator/report/report.h"
#include "orchestrator/workload/dataset.h"
#include "tests/testing/temp_dir.h"

namespace regatta {
namespace {

namespace fs = std::filesystem;
using ::testing::ContainerEq;  // names what differs
using ::testing::HasSubstr;

constexpr uint32_t kRequests = 16;
constexpr char kEnded[] = "exit code 0";

std::string Contents(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

// What each request of a run was, without its times.
std::multiset<std::string> Prompts(const std::string& run) {
  std::multiset<std::string> prompts;
  std::istringstream lines(Contents(run + "/requests.jsonl"));
  for (std::string line; std::getline(lines, line);) {
    const auto record = nlohmann::json::parse(line);
    prompts.insert(absl::StrCat(record["concurrency"].dump(), " ", record["index"].dump(), " ",
                                record["task_id"].dump(), " ", record["input_tokens"].dump(), " ",
                                record["output_tokens"].dump(), record["error"].dump()));
  }
  return prompts;
}

// Every key of results.json with its place, without what is in lists that depend on how the host
// felt.
std::set<std::string> Structure(const std::string& run) {
  std::set<std::string> keys;
  const auto results = nlohmann::json::parse(Contents(run + "/results.json")).flatten();
  for (const auto& [key, value] : results.items()) {
    size_t end = key.size();
    for (const char* list : {"/warnings", "/reasons", "/intervals"}) {
      end = std::min(end, key.find(list));
    }
    keys.insert(key.substr(0, end));
  }
  return keys;
}

std::set<std::string> FileNames(const std::string& run) {
  std::set<std::string> names;
  for (const auto& file : fs::directory_iterator(run)) {
    names.insert(file.path().filename().string());
  }
  return names;
}

class ResumeTest : public ::testing::Test {
 protected:
  void SetUp() override {
    WritePrompts(10);
    Serve("127.0.0.1:0", 1);
  }

  void Serve(const std::string& address, int64_t interval_ms) {
    server_.reset();
    auto server = NullServer::Start(address, {0, interval_ms * 1'000'000, 1}, TlsOptions());
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
  }

  // More prompts than a sweep needs, each with a name of its own.
  void WritePrompts(uint32_t output_tokens) {
    std::vector<DatasetEntry> entries(400);
    for (uint32_t i = 0; i < entries.size(); ++i) {
      entries[i].task_id = absl::StrCat("task-", i);
      entries[i].input_ids.assign(4 + i % 7, i + 1);
      entries[i].output_tokens = output_tokens;
    }
    ASSERT_TRUE(WriteDataset(entries, dir_.File("data.jsonl")).ok());
  }

  std::vector<std::string> Sweep(const std::string& output) const {
    std::vector<std::string> command = {"sweep",
                                        "--url",
                                        absl::StrCat("grpc://", server_->address()),
                                        "--dataset",
                                        dir_.File("data.jsonl"),
                                        "--concurrency",
                                        "1,2,4,8",
                                        "--output",
                                        dir_.File(output),
                                        "--num_requests",
                                        absl::StrCat(kRequests),
                                        "--goodput",
                                        "ttft:500",
                                        "tpot:100",
                                        "--repeats",
                                        absl::StrCat(repeats_)};
    command.insert(command.end(), more_.begin(), more_.end());
    return command;
  }

  std::unique_ptr<ChildProcess> Start(std::vector<std::string> arguments) {
    fs::remove(log());
    arguments.insert(arguments.begin(), REGATTA_BIN_DIR "/regatta");
    auto child = ChildProcess::Start("regatta", arguments, log());
    EXPECT_TRUE(child.ok()) << child.status();
    return *std::move(child);
  }
  std::string Await(ChildProcess& child, absl::Duration timeout = absl::Seconds(90)) {
    const absl::Time deadline = absl::Now() + timeout;
    while (absl::Now() < deadline) {
      if (const auto ended = child.Ended(); ended.has_value()) return *ended;
      absl::SleepFor(absl::Milliseconds(2));
    }
    return "still running";
  }
  std::string RunToEnd(const std::vector<std::string>& arguments) {
    return Await(*Start(arguments));
  }

  // The run's directory once its results exist; "" before.
  std::string RunPath(const std::string& output) const {
    std::error_code none;
    for (const auto& entry : fs::directory_iterator(dir_.File(output), none)) {
      if (fs::exists(entry.path() / "results.json")) return entry.path().string();
    }
    return "";
  }
  SweepReport Results(const std::string& run) {
    const auto sweep = LoadResults(run);
    EXPECT_TRUE(sweep.ok()) << sweep.status();
    return sweep.value_or(SweepReport());
  }
  // A sweep that was killed with at least one whole point, but not all. Where it got to the end
  // before it could be killed it is tried again, slower.
  std::string Killed(uint32_t planned = 4) {
    const std::string address = server_->address();
    for (int64_t interval_ms = 4; interval_ms < 1000; interval_ms *= 4) {
      Serve(address, interval_ms);
      fs::remove_all(dir_.File("killed"));
      auto child = Start(Sweep("killed"));
      const absl::Time deadline = absl::Now() + absl::Seconds(90);
      while (WholePoints() < 1 && absl::Now() < deadline) absl::SleepFor(absl::Milliseconds(2));
      ::kill(child->pid(), SIGKILL);
      Await(*child);
      EXPECT_GE(WholePoints(), 1u) << Log();
      if (WholePoints() < planned) break;
    }
    Serve(address, 0);
    EXPECT_LT(WholePoints(), planned);
    return RunPath("killed");
  }
  uint32_t WholePoints() {
    const std::string run = RunPath("killed");
    return run.empty() ? 0 : Results(run).journal().whole_points();
  }
  std::string log() const { return dir_.File("log"); }
  std::string Log() const { return Contents(log()); }

  TempDir dir_;
  uint32_t repeats_ = 1;
  std::vector<std::string> more_;  // flags
  std::unique_ptr<NullServer> server_;
};

TEST_F(ResumeTest, KilledAtRandomMomentsItEndsWithTheReportOfAnUninterruptedRun) {
  ASSERT_EQ(RunToEnd(Sweep("whole")), kEnded) << Log();
  const uint64_t seed = std::random_device()();
  SCOPED_TRACE(absl::StrCat("seed ", seed));
  std::mt19937_64 random(seed);
  int kills = 0;
  for (std::string ended; ended != kEnded;) {
    ASSERT_LT(kills, 100);
    const std::string begun = RunPath("killed");
    const auto arguments =
        begun.empty() ? Sweep("killed") : std::vector<std::string>{"sweep", "--resume", begun};
    auto child = Start(arguments);
    // Longer and longer lives, so that a slow machine gets to the end as well.
    ended = Await(*child, absl::Milliseconds(static_cast<int64_t>(random() % (80 * (kills + 2)))));
    if (ended != "still running") {
      ASSERT_EQ(ended, kEnded) << Log();
      break;
    }
    ::kill(child->pid(), SIGKILL);
    ended = Await(*child);
    ++kills;
  }
  const std::string whole = RunPath("whole"), resumed = RunPath("killed");
  EXPECT_EQ(Prompts(resumed).size(), 4 * kRequests);
  EXPECT_EQ(Prompts(resumed), Prompts(whole));
  EXPECT_THAT(Structure(resumed), ContainerEq(Structure(whole)));
  EXPECT_EQ(FileNames(resumed), FileNames(whole));
  const SweepReport sweep = Results(resumed);
  EXPECT_TRUE(sweep.completed());
  EXPECT_THAT(sweep.command(), HasSubstr("--concurrency 1,2,4,8"));
  EXPECT_EQ(sweep.journal().whole_points(), 4u);
  ASSERT_EQ(RunToEnd({"sweep", "--resume", resumed}), kEnded) << Log();
  EXPECT_THAT(Log(), HasSubstr("nothing is missing"));
}

TEST_F(ResumeTest, WhatFollowsTheLastWholePointIsMeasuredAgain) {
  const std::string run = Killed();
  const uint32_t whole = Results(run).journal().whole_points();
  std::ofstream(run + "/requests.jsonl", std::ios::app) << "{\"index\": 3, \"concurrency\"";
  ASSERT_EQ(RunToEnd({"sweep", "--resume", run}), kEnded) << Log();
  EXPECT_THAT(Log(), HasSubstr(absl::StrCat(whole, " of 4 points are whole")));
  EXPECT_EQ(Prompts(run).size(), 4 * kRequests);
  EXPECT_EQ(Results(run).journal().resumed(), 1u);
}

TEST_F(ResumeTest, RepeatedPointsGoOnAsWell) {
  repeats_ = 2;
  const std::string run = Killed(8);
  ASSERT_EQ(RunToEnd({"sweep", "--resume", run}), kEnded) << Log();
  EXPECT_EQ(Prompts(run).size(), 8 * kRequests);
  EXPECT_EQ(Results(run).points_size(), 4);
  EXPECT_EQ(Results(run).runs_size(), 8);
}

TEST_F(ResumeTest, APointThatCtrlCCutIsMeasuredAgain) {
  auto slow = NullServer::Start("127.0.0.1:0", {0, 20'000'000, 1}, TlsOptions());
  ASSERT_TRUE(slow.ok()) << slow.status();
  const std::string address = (*slow)->address();
  auto arguments = Sweep("killed");
  arguments[2] = absl::StrCat("grpc://", address);
  const auto before = ::signal(SIGINT, SIG_DFL);  // a test run in the background may ignore it
  auto child = Start(arguments);
  ::signal(SIGINT, before);
  const absl::Time deadline = absl::Now() + absl::Seconds(90);
  const auto issued = [&] { return Log().find("[1/4]") != std::string::npos; };
  while (!issued() && absl::Now() < deadline) absl::SleepFor(absl::Milliseconds(5));
  ::kill(child->pid(), SIGINT);
  ASSERT_EQ(Await(*child), "exit code 130") << Log();
  const std::string run = RunPath("killed");
  const uint32_t whole = Results(run).journal().whole_points();
  const bool cut = Results(run).points_size() > static_cast<int>(whole);  // not while warming up
  EXPECT_EQ(fs::exists(run + "/whole.json"), cut);
  slow->reset();
  auto fast = NullServer::Start(address, {}, TlsOptions());
  ASSERT_TRUE(fast.ok()) << fast.status();
  ASSERT_EQ(RunToEnd({"sweep", "--resume", run}), kEnded) << Log();
  EXPECT_THAT(Log(), HasSubstr(absl::StrCat(whole, " of 4 points are whole")));
  EXPECT_EQ(Prompts(run).size(), 4 * kRequests);
  EXPECT_EQ(Results(run).points_size(), 4);
  EXPECT_FALSE(fs::exists(run + "/whole.json"));
}

// What a server measured while it died is no figure of the load: not kept, and measured anew.
TEST_F(ResumeTest, APointDuringWhichTheServerDiedIsMeasuredAgain) {
  const std::string address = server_->address();
  Serve(address, 40);
  auto child = Start(Sweep("killed"));
  const absl::Time deadline = absl::Now() + absl::Seconds(90);
  while (WholePoints() < 1 && absl::Now() < deadline) absl::SleepFor(absl::Milliseconds(5));
  absl::SleepFor(absl::Milliseconds(600));  // into the second
  server_.reset();
  ASSERT_EQ(Await(*child), "exit code 1") << Log();
  const std::string run = RunPath("killed");
  EXPECT_THAT(Log(),
              HasSubstr(absl::StrCat("the router at ", address, " does not serve any more")));
  EXPECT_THAT(Log(), HasSubstr("concurrency 2 is not kept, of whose "));
  EXPECT_THAT(Log(), HasSubstr("regatta sweep --resume " + run));
  EXPECT_EQ(Results(run).journal().whole_points(), 1u);
  EXPECT_EQ(Results(run).points_size(), 1);
  EXPECT_EQ(Prompts(run).size(), kRequests);
  Serve(address, 0);
  ASSERT_EQ(RunToEnd({"sweep", "--resume", run}), kEnded) << Log();
  EXPECT_EQ(Prompts(run).size(), 4 * kRequests);
  const SweepReport sweep = Results(run);
  for (const PointReport& point : sweep.points()) {
    EXPECT_EQ(point.regatta().failed_requests(), 0u);
  }
}

// One that gives requests up and lives has failed them: that is what was measured.
TEST_F(ResumeTest, FailuresOfAServerThatLivesAreKept) {
  const std::string address = server_->address();
  Serve(address, 60'000);
  more_ = {"--stall-timeout", "0.3", "--warmup", "0", "--no-calibrate"};
  ASSERT_EQ(RunToEnd(Sweep("whole")), "exit code 3") << Log();
  const SweepReport sweep = Results(RunPath("whole"));
  EXPECT_TRUE(sweep.completed());
  EXPECT_EQ(sweep.journal().whole_points(), 4u);
  EXPECT_GT(sweep.points(0).regatta().failed_requests(), 0u);
}

TEST_F(ResumeTest, AnotherSweepIsRefusedByName) {
  const std::string run = Killed();
  const auto refused = [&](std::vector<std::string> arguments, const std::string& why) {
    arguments.insert(arguments.begin(), {"sweep", "--resume", run});
    EXPECT_EQ(RunToEnd(arguments), "exit code 2") << Log();
    EXPECT_THAT(Log(), HasSubstr(why));
  };
  refused({"--concurrency", "1,2"}, "--concurrency=1,2: the sweep was begun with");
  refused({"--prefix-cache"}, "--prefix-cache=true: the sweep was begun with");
  const std::string whole = Contents(run + "/results.json");
  for (const char* command : {"recommend", "partition"}) {
    EXPECT_EQ(RunToEnd({command, "--resume", run}), "exit code 2") << Log();
    EXPECT_THAT(Log(), HasSubstr("was begun by `regatta sweep`: regatta sweep --resume " + run));
    EXPECT_EQ(Contents(run + "/results.json"), whole);
  }
  WritePrompts(11);
  refused({}, "dataset_hash");
  WritePrompts(10);
  SweepReport sweep = Results(run);
  sweep.mutable_journal()->mutable_identity()->mutable_engine()->set_model("other");
  std::ofstream(run + "/results.json") << ToJson(sweep);
  refused({}, "engine.model: \"other\" -> \"null\"");
  sweep.clear_journal();
  std::ofstream(run + "/results.json") << ToJson(sweep);
  refused({}, "no journal");
}

TEST_F(ResumeTest, WhereACacheMayKnowThePromptsSaltedOnesAreNew) {
  for (const bool salted : {false, true}) {
    more_ = {"--prefix-cache"};
    if (salted) more_.insert(more_.end(), {"--cache-salt", "7"});
    const std::string run = Killed();
    const int cut = static_cast<int>(WholePoints());
    ASSERT_EQ(RunToEnd({"sweep", "--resume", run}), kEnded) << Log();
    const SweepReport sweep = Results(run);
    for (const PointReport& point : sweep.points()) {
      const bool suspect = !salted && static_cast<int>(point.regatta().run_number()) == cut + 1;
      const std::string warnings = absl::StrJoin(point.regatta().warnings(), "; ");
      EXPECT_EQ(absl::StrContains(warnings, "in the server's prefix cache"), suspect) << warnings;
    }
  }
}

TEST_F(ResumeTest, ACompleteSweepIsNotMeasuredAgainAndNoOtherOne) {
  ASSERT_EQ(RunToEnd(Sweep("whole")), kEnded) << Log();
  const std::string run = RunPath("whole");
  EXPECT_EQ(RunToEnd({"sweep", "--resume", run, "--concurrency", "16"}), "exit code 2") << Log();
  EXPECT_THAT(Log(), HasSubstr("--concurrency=16: the sweep was begun with"));
  EXPECT_EQ(RunToEnd({"sweep", "--resume", run, "--concurrency", "1,2,4,8"}), kEnded) << Log();
  EXPECT_THAT(Log(), HasSubstr("is complete: nothing is missing"));
  SweepReport sweep = Results(run);
  sweep.mutable_points(1)->mutable_regatta()->set_failed_requests(2);
  std::ofstream(run + "/results.json") << ToJson(sweep);
  EXPECT_EQ(RunToEnd({"sweep", "--resume", run}), "exit code 3") << "as it ended";
}

TEST_F(ResumeTest, OneCommandBeginsGoesOnAndSaysThatItIsComplete) {
  std::vector<std::string> command = Sweep("killed");
  const auto output = std::find(command.begin(), command.end(), "--output");
  *output = "--run-dir";
  output[1] = dir_.File("own");
  ASSERT_EQ(RunToEnd(command), kEnded) << Log();
  EXPECT_TRUE(fs::exists(output[1] + "/report.html"));
  ASSERT_EQ(RunToEnd(command), kEnded) << Log();
  EXPECT_THAT(Log(), HasSubstr("is complete: nothing is missing"));
  // As one that was killed in its third point.
  SweepReport sweep = Results(output[1]);
  sweep.set_completed(false);
  while (sweep.points_size() > 2) sweep.mutable_points()->RemoveLast();
  sweep.mutable_journal()->set_whole_points(2);
  std::ofstream(output[1] + "/results.json") << ToJson(sweep);
  ASSERT_EQ(RunToEnd(command), kEnded) << Log();
  EXPECT_THAT(Log(), HasSubstr("2 of 4 points are whole"));
  EXPECT_EQ(Results(output[1]).points_size(), 4);
  EXPECT_TRUE(Results(output[1]).completed());
  // And by name, from wherever it was moved to.
  fs::rename(output[1], dir_.File("moved"));
  EXPECT_EQ(RunToEnd({"sweep", "--resume", dir_.File("moved")}), kEnded) << Log();
}

TEST_F(ResumeTest, ADirectoryOfRequestsWithoutResultsIsNotBegunIn) {
  fs::create_directories(dir_.File("own"));
  std::ofstream(dir_.File("own") + "/requests.jsonl") << "{}\n";
  std::vector<std::string> command = Sweep("killed");
  const auto output = std::find(command.begin(), command.end(), "--output");
  *output = "--run-dir";
  output[1] = dir_.File("own");
  EXPECT_EQ(RunToEnd(command), "exit code 2") << Log();
  EXPECT_THAT(Log(), HasSubstr("holds requests.jsonl of another run"));
}

TEST_F(ResumeTest, LostRequestsAreNotPassedOver) {
  const std::string run = Killed();
  fs::resize_file(run + "/requests.jsonl", 10);
  EXPECT_EQ(RunToEnd({"sweep", "--resume", run}), "exit code 1") << Log();
  EXPECT_THAT(Log(), HasSubstr("has 10 bytes"));
}

TEST_F(ResumeTest, OneProcessMeasuresIntoADirectory) {
  const std::string run = Killed();
  const auto other = RunDirectory::Open(run);
  ASSERT_TRUE(other.ok()) << other.status();
  EXPECT_EQ(RunToEnd({"sweep", "--resume", run}), "exit code 2") << Log();
  EXPECT_THAT(Log(), HasSubstr("another process measures into it"));
}

}  // namespace
}  // namespace regatta
