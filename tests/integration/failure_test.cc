// What happens when parts die: clear errors or completed work, never a hang, nothing left behind.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <set>
#include <thread>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "orchestrator/cluster/child_process.h"
#include "orchestrator/cluster/cluster_client.h"
#include "tests/testing/served_model.h"

namespace regatta::testing {
namespace {

namespace fs = std::filesystem;
using std::chrono::steady_clock;

// Processes on this machine whose environment holds `mark`.
std::set<int> ProcessesMarked(const std::string& mark) {
  std::set<int> pids;
  for (const auto& entry : fs::directory_iterator("/proc")) {
    int pid = 0;
    if (!absl::SimpleAtoi(entry.path().filename().string(), &pid) || pid == getpid()) continue;
    std::ifstream file(entry.path() / "environ", std::ios::binary);
    const std::string environment{std::istreambuf_iterator<char>(file), {}};
    if (environment.find(mark) != std::string::npos) pids.insert(pid);
  }
  return pids;
}

TEST(Failure, WorkerKilledUnderLoad_EveryRequestEndsAndOtherCopyTakesOver) {
  const std::vector<HeldOutPrompt> prompts = HeldOut("regatta-dense", 3);
  const auto cluster = LaunchModel("regatta-dense", 2, {"--dp", "2"});
  ASSERT_TRUE(cluster.ok()) << cluster.status();
  const pid_t victim = (*cluster)->description().workers(0).description().pid();
  std::vector<Output> outputs;
  std::thread load([&] {
    outputs = GenerateAll((*cluster)->channel(), GreedyRequests(prompts), 16, absl::Seconds(90));
  });
  std::this_thread::sleep_for(std::chrono::seconds(1));
  kill(victim, SIGKILL);
  load.join();
  EXPECT_GE(CountExact(prompts, outputs), 0.97 * prompts.size())
      << "sequences of the dead rank go on elsewhere";
}

TEST(Failure, OnlyGroupLosesARank_RequestsFailClearlyInBoundedTime) {
  const std::vector<HeldOutPrompt> prompts = HeldOut("regatta-dense", 8);
  const auto cluster = LaunchModel("regatta-dense", 2, {"--tp", "2", "--unavailable-timeout", "5"});
  ASSERT_TRUE(cluster.ok()) << cluster.status();
  const pid_t victim = (*cluster)->description().workers(1).description().pid();
  std::vector<Output> outputs;
  const auto start = steady_clock::now();
  std::thread load([&] {
    outputs = GenerateAll((*cluster)->channel(), GreedyRequests(prompts), 16, absl::Seconds(120));
  });
  std::this_thread::sleep_for(std::chrono::milliseconds(100));  // all of it may take 500
  kill(victim, SIGKILL);
  load.join();
  EXPECT_LT(steady_clock::now() - start, std::chrono::seconds(60));
  int failed = 0;
  for (const Output& output : outputs) {
    if (output.status.ok()) continue;
    ++failed;
    EXPECT_EQ(output.status.code(), absl::StatusCode::kUnavailable) << output.status;
    EXPECT_FALSE(output.status.message().empty());
  }
  EXPECT_GT(failed, 0);
}

// `regatta sweep` as a user starts it, with a mark in the environment that its children inherit.
class SweepCommand : public ::testing::Test {
 protected:
  void SetUp() override {
    dir_ = absl::StrCat(::testing::TempDir(), "/regatta-sweep-", getpid());
    fs::remove_all(dir_);
    fs::create_directories(dir_);
    mark_ = absl::StrCat("REGATTA_TEST_MARK=", getpid());
  }

  // Starts the sweep and returns its pid.
  pid_t Start(const std::string& concurrency) {
    const pid_t pid = fork();
    if (pid != 0) return pid;
    putenv(mark_.data());
    const std::string log = dir_ + "/output.txt";
    (void)!freopen(log.c_str(), "w", stdout);
    dup2(fileno(stdout), fileno(stderr));
    execl(REGATTA_BIN_DIR "/regatta", "regatta", "sweep", "--model",
          BundledModel("regatta-dense").c_str(), "--dataset",
          (BundledModel("regatta-dense") + "/heldout.jsonl").c_str(), "--tp", "2", "--concurrency",
          concurrency.c_str(), "--output", dir_.c_str(), nullptr);
    _exit(127);
  }

  // Waits for `pid`; its exit code, or -1 when it did not end within `limit` (it is killed then).
  static int Wait(pid_t pid, std::chrono::seconds limit) {
    const auto deadline = steady_clock::now() + limit;
    int status = 0;
    while (waitpid(pid, &status, WNOHANG) == 0) {
      if (steady_clock::now() > deadline) {
        kill(pid, SIGKILL);
        waitpid(pid, &status, 0);
        return -1;
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }

  bool AwaitOutput(const std::string& text, std::chrono::seconds limit) const {
    const auto deadline = steady_clock::now() + limit;
    while (steady_clock::now() < deadline) {
      if (ReadOutput().find(text) != std::string::npos) return true;
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
    }
    return false;
  }

  std::string ReadOutput() const {
    std::ifstream file(dir_ + "/output.txt");
    return {std::istreambuf_iterator<char>(file), {}};
  }

  // One of the ranks that the sweep `pid` started; 0 if there is none.
  pid_t WorkerOf(pid_t pid) const {
    for (const int child : ProcessesMarked(mark_)) {
      std::ifstream name(absl::StrCat("/proc/", child, "/comm"));
      const std::string comm{std::istreambuf_iterator<char>(name), {}};
      if (child != pid && absl::StartsWith(comm, "regatta-worker")) return child;
    }
    return 0;
  }

  void ExpectNothingLeft() const {
    const auto deadline = steady_clock::now() + std::chrono::seconds(10);
    while (!ProcessesMarked(mark_).empty() && steady_clock::now() < deadline) {
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
    }
    EXPECT_TRUE(ProcessesMarked(mark_).empty());
  }

  std::string dir_;
  std::string mark_;
};

TEST_F(SweepCommand, RunsToItsEnd_WritesEveryReport) {
  EXPECT_EQ(Wait(Start("1,4"), std::chrono::seconds(180)), 0) << ReadOutput();
  ExpectNothingLeft();
  const std::string output = ReadOutput();
  EXPECT_NE(output.find("= PERFORMANCE OVERVIEW"), std::string::npos);
  EXPECT_NE(output.find("CPU ranks, not a performance figure"), std::string::npos);
  std::set<std::string> names;
  for (const auto& entry : fs::recursive_directory_iterator(dir_))
    names.insert(entry.path().filename());
  for (const char* name :
       {"results.json", "report.html", "pareto.svg", "summary.csv", "requests.jsonl"}) {
    EXPECT_EQ(names.count(name), 1u) << name;
  }
}

TEST_F(SweepCommand, CtrlC_LeavesNoProcess) {
  const pid_t pid = Start("8,16");
  ASSERT_TRUE(AwaitOutput("tok", std::chrono::seconds(60))) << ReadOutput();
  kill(pid, SIGINT);
  EXPECT_EQ(Wait(pid, std::chrono::seconds(20)), 130) << ReadOutput();
  ExpectNothingLeft();
}

// A rank that dies, and one that hangs: the sweep ends, says so, and leaves neither.
TEST_F(SweepCommand, ALostRank_EndsInFailedRequestsAndTheCause) {
  for (const int signal : {SIGKILL, SIGSTOP}) {
    SetUp();
    const pid_t pid = Start("8,16");
    ASSERT_TRUE(AwaitOutput(" requests: ", std::chrono::seconds(60))) << ReadOutput();
    std::this_thread::sleep_for(std::chrono::milliseconds(500));  // The first of some 240 run.
    const pid_t rank = WorkerOf(pid);
    ASSERT_GT(rank, 0);
    kill(rank, signal);
    const int exit_code = Wait(pid, std::chrono::seconds(90));
    EXPECT_EQ(exit_code, signal == SIGKILL ? 1 : 3) << ReadOutput();
    EXPECT_NE(ReadOutput().find("failed requests: "), std::string::npos) << ReadOutput();
    EXPECT_EQ(ReadOutput().find("ended with signal 9") != std::string::npos, signal == SIGKILL);
    ExpectNothingLeft();
  }
}

TEST_F(SweepCommand, KilledOutright_LeavesNoProcess) {
  const pid_t pid = Start("8,16");
  ASSERT_TRUE(AwaitOutput("tok", std::chrono::seconds(60))) << ReadOutput();
  kill(pid, SIGKILL);
  Wait(pid, std::chrono::seconds(10));
  ExpectNothingLeft();
}

}  // namespace
}  // namespace regatta::testing
