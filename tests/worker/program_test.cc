// regatta-worker as a process: how it starts, tells its address and ends; the supervisor of
// several.
#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/check.h"
#include "proto/worker.grpc.pb.h"
#include "tests/testing/temp_dir.h"

namespace regatta {
namespace {

const std::string& Program() {
  static const std::string& path = *new std::string(REGATTA_BIN_DIR "/regatta-worker");
  return path;
}

// A process of the test's; killed at its end.
class Process {
 public:
  Process(std::vector<std::string> arguments, const std::string& log) {
    arguments.insert(arguments.begin(), Program());
    std::vector<char*> argv;
    for (std::string& argument : arguments) argv.push_back(argument.data());
    argv.push_back(nullptr);
    pid_ = fork();
    if (pid_ == 0) {
      CHECK(freopen(log.c_str(), "w", stdout) != nullptr);
      dup2(STDOUT_FILENO, STDERR_FILENO);
      execv(argv[0], argv.data());
      _exit(127);
    }
  }
  ~Process() {
    if (pid_ > 0) {
      kill(pid_, SIGKILL);
      waitpid(pid_, nullptr, 0);
    }
  }
  void Signal(int signal) { kill(pid_, signal); }
  // The exit code, or -1 when it has not ended within `timeout`.
  int Wait(absl::Duration timeout) {
    const absl::Time deadline = absl::Now() + timeout;
    int status = 0;
    while (waitpid(pid_, &status, WNOHANG) == 0) {
      if (absl::Now() > deadline) return -1;
      absl::SleepFor(absl::Milliseconds(10));
    }
    pid_ = 0;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }

 private:
  pid_t pid_ = 0;
};

std::vector<std::string> Lines(const std::string& path) {
  std::vector<std::string> lines;
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) lines.push_back(line);
  return lines;
}

class ProgramTest : public ::testing::Test {
 protected:
  std::vector<std::string> AwaitAddresses() {
    for (int i = 0; i < 1000; ++i) {
      const std::vector<std::string> addresses = Lines(dir_.File("addresses"));
      if (!addresses.empty()) return addresses;
      absl::SleepFor(absl::Milliseconds(10));
    }
    ADD_FAILURE() << "no address file";
    return {};
  }
  // 0 when nothing answers.
  uint32_t PidAt(const std::string& address, absl::Duration timeout = absl::Seconds(10)) {
    auto stub = Worker::NewStub(grpc::CreateChannel(address, grpc::InsecureChannelCredentials()));
    grpc::ClientContext context;
    context.set_wait_for_ready(true);
    context.set_deadline(absl::ToChronoTime(absl::Now() + timeout));
    WorkerDescription description;
    return stub->Describe(&context, DescribeRequest(), &description).ok() ? description.pid() : 0;
  }
  std::vector<std::string> Arguments(std::vector<std::string> more) {
    more.insert(more.end(), {"--listen", "127.0.0.1:0", "--address_file", dir_.File("addresses")});
    return more;
  }
  std::string Log() { return dir_.File("log"); }
  bool Runs(uint32_t pid) { return kill(static_cast<pid_t>(pid), 0) == 0; }

  TempDir dir_;
};

TEST_F(ProgramTest, AWorkerTellsItsAddressAndEndsOnSigterm) {
  Process worker(Arguments({"--threads", "1"}), Log());
  const std::vector<std::string> addresses = AwaitAddresses();
  ASSERT_EQ(addresses.size(), 1u);
  EXPECT_NE(PidAt(addresses[0]), 0u);
  EXPECT_THAT(Lines(Log()), ::testing::Contains("listening on " + addresses[0]));
  worker.Signal(SIGTERM);
  EXPECT_EQ(worker.Wait(absl::Seconds(2)), 0);
}

TEST_F(ProgramTest, BadFlagsAreNamed) {
  EXPECT_EQ(Process(Arguments({"--devices", "0"}), Log()).Wait(absl::Seconds(10)), 2);
  EXPECT_THAT(Lines(Log())[0], ::testing::HasSubstr("--devices '0'"));
  EXPECT_EQ(
      Process(Arguments({"--devices", "1", "--hang-timeout", "1"}), Log()).Wait(absl::Seconds(10)),
      2);
  EXPECT_THAT(Lines(Log())[0], ::testing::HasSubstr("--hang-timeout '1': 0 (never) or 3 to"));
  EXPECT_EQ(Process({"--listen", "0.0.0.0:0"}, Log()).Wait(absl::Seconds(10)), 1);
  EXPECT_THAT(Lines(Log())[0], ::testing::HasSubstr("refused off loopback"));
  for (const char* address : {"nonsense", "127.0.0.1", "127.0.0.1:99999"}) {
    EXPECT_EQ(Process({"--listen", address}, Log()).Wait(absl::Seconds(10)), 2);
    EXPECT_THAT(Lines(Log())[0], ::testing::HasSubstr("is not host:port with a port of 0 to"));
  }
  EXPECT_EQ(Process({"--device", "abacus"}, Log()).Wait(absl::Seconds(10)), 2);
}

TEST_F(ProgramTest, ATakenPortIsAnErrorForWorkerAndSupervisor) {
  Process worker(Arguments({}), Log());
  const std::string address = AwaitAddresses()[0];
  EXPECT_EQ(Process({"--listen", address}, Log()).Wait(absl::Seconds(10)), 1);
  EXPECT_GT(Process({"--listen", address, "--devices", "1"}, Log()).Wait(absl::Seconds(10)), 0);
}

TEST_F(ProgramTest, TheSupervisorRestartsACrashedWorkerOnItsPort) {
  Process supervisor(Arguments({"--devices", "cpu:3"}), Log());
  const std::vector<std::string> addresses = AwaitAddresses();
  ASSERT_EQ(addresses.size(), 3u);
  std::vector<uint32_t> pids;
  for (const std::string& address : addresses) pids.push_back(PidAt(address));
  kill(static_cast<pid_t>(pids[1]), SIGKILL);
  uint32_t again = 0;
  for (int i = 0; i < 100 && (again == 0 || again == pids[1]); ++i) {
    again = PidAt(addresses[1], absl::Seconds(1));
    absl::SleepFor(absl::Milliseconds(20));
  }
  EXPECT_NE(again, 0u);
  EXPECT_NE(again, pids[1]);
  EXPECT_EQ(PidAt(addresses[0]), pids[0]);
  supervisor.Signal(SIGTERM);
  EXPECT_EQ(supervisor.Wait(absl::Seconds(4)), 0);
  for (uint32_t pid : {pids[0], again, pids[2]}) EXPECT_FALSE(Runs(pid)) << pid;
}

TEST_F(ProgramTest, TheSupervisorRestartsAWorkerThatHangs) {
  Process supervisor(Arguments({"--devices", "cpu:2", "--hang-timeout", "5"}), Log());
  const std::vector<std::string> addresses = AwaitAddresses();
  ASSERT_EQ(addresses.size(), 2u);
  const uint32_t pids[] = {PidAt(addresses[0]), PidAt(addresses[1])};
  absl::SleepFor(absl::Seconds(1));  // for it to have answered once
  kill(static_cast<pid_t>(pids[1]), SIGSTOP);
  uint32_t again = 0;
  for (int i = 0; i < 30 && (again == 0 || again == pids[1]); ++i) {
    again = PidAt(addresses[1], absl::Seconds(1));
  }
  EXPECT_NE(again, 0u);
  EXPECT_NE(again, pids[1]);
  EXPECT_EQ(PidAt(addresses[0]), pids[0]) << "it answers";
  const std::string who = "regatta-worker: worker on " + addresses[1];
  EXPECT_THAT(Lines(Log()),
              ::testing::IsSupersetOf(
                  {who + " has not answered its health check for 5 s (--hang-timeout); killing it",
                   who + " was killed by signal 9; starting it again in 100 ms"}));
}

TEST_F(ProgramTest, AWorkerThatWasFrozenTogetherWithItsSupervisorIsNotKilled) {
  Process supervisor(Arguments({"--devices", "cpu:1", "--hang-timeout", "3"}), Log());
  const std::string address = AwaitAddresses()[0];
  const uint32_t pid = PidAt(address);
  absl::SleepFor(absl::Seconds(1));
  kill(static_cast<pid_t>(pid), SIGSTOP);
  supervisor.Signal(SIGSTOP);
  absl::SleepFor(absl::Seconds(5));
  supervisor.Signal(SIGCONT);
  absl::SleepFor(absl::Seconds(1));
  kill(static_cast<pid_t>(pid), SIGCONT);
  EXPECT_EQ(PidAt(address), pid);
}

TEST_F(ProgramTest, AKilledSupervisorLeavesNoWorker) {
  Process supervisor(Arguments({"--devices", "2"}), Log());
  const std::vector<std::string> addresses = AwaitAddresses();
  ASSERT_EQ(addresses.size(), 2u);
  const uint32_t pids[] = {PidAt(addresses[0]), PidAt(addresses[1])};
  supervisor.Signal(SIGKILL);
  supervisor.Wait(absl::Seconds(2));
  for (uint32_t pid : pids) {
    for (int i = 0; i < 300 && Runs(pid); ++i) absl::SleepFor(absl::Milliseconds(10));
    EXPECT_FALSE(Runs(pid));
  }
}

}  // namespace
}  // namespace regatta
