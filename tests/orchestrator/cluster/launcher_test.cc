// Launching and tearing down, with small shell programs in the place of worker and router.
#include "orchestrator/cluster/launcher.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "tests/testing/file_size_limit.h"

namespace regatta {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

// $address is the value of --address-file; each program notes its pid next to it.
constexpr char kPrologue[] =
    "#!/bin/bash\n"
    "[ \"$1\" = --list-devices ] && { cat \"$(dirname \"$0\")/devices\"; exit; }\n"
    "while [ $# -gt 0 ]; do [ \"$1\" = --address-file ] && address=$2; shift; done\n"
    "echo $$ > \"$address.pid\"\n";
constexpr char kListens[] = "echo 127.0.0.1:1 > \"$address\"; ";
constexpr char kSleeps[] = "while true; do sleep 0.05; done\n";

bool Alive(pid_t pid) { return ::kill(pid, 0) == 0; }

bool EndsSoon(pid_t pid) {
  for (int i = 0; i < 200 && Alive(pid); ++i) absl::SleepFor(absl::Milliseconds(10));
  return !Alive(pid);
}

class LauncherTest : public ::testing::Test {
 protected:
  void SetUp() override {
    dir_ = fs::path(::testing::TempDir()) /
           absl::StrCat("launcher-", ::getpid(), "-",
                        ::testing::UnitTest::GetInstance()->current_test_info()->name());
    fs::create_directories(dir_);
    options_.bin_dir = options_.log_dir = dir_;
    options_.workers = 2;
    options_.ready_timeout = absl::Seconds(10);
    std::ofstream(dir_ / "devices") << "cpu\n";
  }
  void TearDown() override { fs::remove_all(dir_); }

  void Program(const std::string& name, const std::string& body) {
    std::ofstream(dir_ / name) << kPrologue << body;
    fs::permissions(dir_ / name, fs::perms::owner_all);
  }
  pid_t PidOf(const std::string& name) {
    pid_t pid = 0;
    std::ifstream(dir_ / (name + ".address.pid")) >> pid;
    return pid;
  }
  void ExpectNothingLeft() {
    for (const char* name : {"worker-0", "worker-1", "router"}) {
      const pid_t pid = PidOf(name);
      EXPECT_TRUE(pid == 0 || EndsSoon(pid)) << name;
    }
  }
  absl::Status Launch() { return LocalCluster::Launch(options_, stop_).status(); }

  fs::path dir_;
  LaunchOptions options_;
  std::atomic<bool> stop_{false};
};

TEST_F(LauncherTest, AMissingProgramIsNamed) {
  const absl::Status status = Launch();
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(status.message()), HasSubstr("regatta-worker': No such file"));
}

TEST_F(LauncherTest, ADyingWorkerShowsItsLastWordsAndTakesTheRestDown) {
  Program("regatta-worker",
          absl::StrCat(
              "case $address in *worker-1*) sleep 0.2; echo cannot load shard 7; exit 4;; esac\n",
              kListens, kSleeps));
  const absl::Status status = Launch();
  EXPECT_EQ(status.code(), absl::StatusCode::kAborted);
  EXPECT_THAT(std::string(status.message()), HasSubstr("worker-1 ended with exit code 4"));
  EXPECT_THAT(std::string(status.message()), HasSubstr("cannot load shard 7"));
  ExpectNothingLeft();
}

TEST_F(LauncherTest, AWorkerThatCanWriteNothingIsSaidToBeOnAFullDisk) {
  Program("regatta-worker",
          absl::StrCat("case $address in *worker-0*) echo cannot write; exit 1;; esac\n", kSleeps));
  options_.device = "cpu";
  absl::Status status;
  {
    const FileSizeLimit limit(0);
    status = Launch();
  }
  EXPECT_THAT(std::string(status.message()), HasSubstr("worker-0 ended with exit code 1"));
  EXPECT_THAT(std::string(status.message()), HasSubstr("(none: cannot write '"));
  EXPECT_THAT(std::string(status.message()), HasSubstr("': File too large)"));
}

TEST_F(LauncherTest, ADyingRouterIsNoticedAfterTheWorkersListen) {
  Program("regatta-worker", absl::StrCat(kListens, kSleeps));
  Program("regatta-router", "echo unknown architecture; kill -9 $$\n");
  const absl::Status status = Launch();
  EXPECT_THAT(std::string(status.message()), HasSubstr("router ended with signal 9"));
  EXPECT_THAT(std::string(status.message()), HasSubstr("unknown architecture"));
  ExpectNothingLeft();
}

TEST_F(LauncherTest, TooFewGpusAreToldWithTheWayOut) {
  std::ofstream(dir_ / "devices") << "cuda:0\ncpu\n";
  Program("regatta-worker", kSleeps);
  const absl::Status status = Launch();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(status.message()), HasSubstr("needs 2 GPUs, this host has 1"));
  EXPECT_THAT(std::string(status.message()), HasSubstr("--device cpu"));
}

TEST_F(LauncherTest, AWorkerThatCannotListDevicesIsNoSilentCpuRun) {
  std::ofstream(dir_ / "regatta-worker") << "#!/bin/bash\necho no driver >&2; exit 3\n";
  fs::permissions(dir_ / "regatta-worker", fs::perms::owner_all);
  const absl::Status status = Launch();
  EXPECT_EQ(status.code(), absl::StatusCode::kAborted);
  EXPECT_THAT(std::string(status.message()), HasSubstr("--list-devices: exit code 3"));
  EXPECT_THAT(std::string(status.message()), HasSubstr("no driver"));
}

TEST_F(LauncherTest, EachWorkerGetsItsGpu) {
  std::ofstream(dir_ / "devices") << "cuda:0\ncuda:1\ncuda:2\ncpu\n";
  std::ofstream(dir_ / "regatta-worker")
      << "#!/bin/bash\n"
         "[ \"$1\" = --list-devices ] && { cat \"$(dirname \"$0\")/devices\"; exit; }\n"
         "echo \"$1 $2\" >&2; exit 4\n";
  fs::permissions(dir_ / "regatta-worker", fs::perms::owner_all);
  const absl::Status status = Launch();
  // Whichever ends first.
  for (const char* worker : {"0", "1"}) {
    const std::string message(status.message());
    if (message.find(absl::StrCat("worker-", worker, " ended")) == std::string::npos) continue;
    EXPECT_THAT(message, HasSubstr(absl::StrCat("--device cuda:", worker)));
  }
  EXPECT_THAT(std::string(status.message()), HasSubstr("--device cuda:"));
}

TEST_F(LauncherTest, SilenceHasADeadline) {
  Program("regatta-worker", absl::StrCat("echo waiting for a device\n", kSleeps));
  options_.ready_timeout = absl::Milliseconds(300);
  const absl::Status status = Launch();
  EXPECT_EQ(status.code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_THAT(std::string(status.message()), HasSubstr("worker-0 does not listen after 300ms"));
  EXPECT_THAT(std::string(status.message()), HasSubstr("waiting for a device"));
  ExpectNothingLeft();
}

TEST_F(LauncherTest, CtrlCWhileStartingTearsDown) {
  Program("regatta-worker", kSleeps);
  std::thread interrupter([this] {
    absl::SleepFor(absl::Milliseconds(200));
    stop_ = true;
  });
  EXPECT_EQ(Launch().code(), absl::StatusCode::kCancelled);
  interrupter.join();
  ExpectNothingLeft();
}

TEST_F(LauncherTest, WhatIgnoresSigtermIsKilledWithItsChildren) {
  Program(
      "regatta-worker",
      absl::StrCat("trap '' TERM\nsleep 1000 & echo $! > \"$address.child\"\n", kListens, kSleeps));
  auto child = ChildProcess::Start(
      "stubborn", {(dir_ / "regatta-worker").string(), "--address-file", (dir_ / "a").string()},
      (dir_ / "log").string());
  ASSERT_TRUE(child.ok()) << child.status();
  while (!fs::exists(dir_ / "a")) absl::SleepFor(absl::Milliseconds(5));
  pid_t grandchild = 0;
  std::ifstream(dir_ / "a.child") >> grandchild;
  ASSERT_TRUE(Alive(grandchild));
  std::vector<std::unique_ptr<ChildProcess>> children;
  children.push_back(*std::move(child));
  const absl::Time start = absl::Now();
  StopAll(children, absl::Milliseconds(200));
  EXPECT_GE(absl::Now() - start, absl::Milliseconds(200));
  const pid_t pid = children[0]->pid();
  children.clear();
  EXPECT_TRUE(EndsSoon(pid));
  EXPECT_TRUE(EndsSoon(grandchild));
}

// The parent is killed outright: the kernel takes its children along.
TEST_F(LauncherTest, ACrashOfTheParentLeavesNoProcess) {
  Program("regatta-worker", absl::StrCat(kListens, kSleeps));
  const pid_t parent = ::fork();
  if (parent == 0) {
    auto child = ChildProcess::Start("worker-0",
                                     {(dir_ / "regatta-worker").string(), "--address-file",
                                      (dir_ / "worker-0.address").string()},
                                     (dir_ / "log").string());
    while (true) ::pause();
  }
  while (!fs::exists(dir_ / "worker-0.address")) absl::SleepFor(absl::Milliseconds(5));
  ASSERT_TRUE(Alive(PidOf("worker-0")));
  ::kill(parent, SIGKILL);
  EXPECT_TRUE(EndsSoon(PidOf("worker-0")));
}

TEST_F(LauncherTest, TheLogTailIsTheEnd) {
  Program("talker", "for i in $(seq 1 40); do echo line $i; done\n");
  auto child = ChildProcess::Start(
      "talker", {(dir_ / "talker").string(), "--address-file", (dir_ / "t").string()},
      (dir_ / "log").string());
  ASSERT_TRUE(child.ok());
  while (!(*child)->Ended().has_value()) absl::SleepFor(absl::Milliseconds(5));
  EXPECT_EQ(*(*child)->Ended(), "exit code 0");
  EXPECT_EQ((*child)->LogTail(2), "line 39\nline 40");
}

}  // namespace
}  // namespace regatta
