// A second router is given the workers of one that serves: nobody is disturbed, and it takes over
// once the first is dead, or because it is told to.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "orchestrator/cluster/child_process.h"
#include "orchestrator/cluster/cluster_client.h"
#include "orchestrator/grpc/channel.h"
#include "tests/testing/served_model.h"

namespace regatta::testing {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

class TwoRouters : public ::testing::Test {
 protected:
  void SetUp() override {
    dir_ = absl::StrCat(::testing::TempDir(), "/regatta-two-routers-", getpid());
    fs::remove_all(dir_);
    fs::create_directories(dir_);
  }
  std::string AddressFile(const std::string& name) const { return dir_ + "/" + name + ".address"; }

  std::unique_ptr<ChildProcess> Launch(const std::string& program, const std::string& name,
                                       const std::vector<std::string>& arguments) const {
    std::vector<std::string> words = {REGATTA_BIN_DIR "/" + program, "--listen", "127.0.0.1:0",
                                      "--address-file", AddressFile(name)};
    words.insert(words.end(), arguments.begin(), arguments.end());
    auto child = ChildProcess::Start(name, words, absl::StrCat(dir_, "/", name, ".log"));
    EXPECT_TRUE(child.ok()) << child.status();
    return *std::move(child);
  }
  std::unique_ptr<ChildProcess> Router(const std::string& name, const std::string& workers,
                                       const std::string& tp, const std::string& patience,
                                       const std::vector<std::string>& more = {}) const {
    std::vector<std::string> words = {"--model",
                                      BundledModel("regatta-dense"),
                                      "--workers",
                                      workers,
                                      "--tp",
                                      tp,
                                      "--start-timeout",
                                      patience};
    words.insert(words.end(), more.begin(), more.end());
    return Launch("regatta-router", name, words);
  }
  static bool Await(const std::function<bool()>& done) {
    const absl::Time deadline = absl::Now() + absl::Seconds(60);
    while (!done() && absl::Now() < deadline) absl::SleepFor(absl::Milliseconds(20));
    return done();
  }
  // Empty when it does not come to serve.
  std::string AddressOf(const std::string& name) const {
    std::string address;
    Await([&] { return static_cast<bool>(std::ifstream(AddressFile(name)) >> address); });
    return address;
  }

  std::string dir_;
};

TEST_F(TwoRouters, TheSecondWaitsUntilTheFirstIsDead) {
  const auto first_worker =
      Launch("regatta-worker", "worker-0", {"--device", "cpu", "--threads", "1"});
  const auto second_worker =
      Launch("regatta-worker", "worker-1", {"--device", "cpu", "--threads", "1"});
  const std::string worker = AddressOf("worker-0");
  const auto a = Router("a", absl::StrCat(worker, ",", AddressOf("worker-1")), "2", "60");
  const auto channel = Connect(AddressOf("a"), TlsOptions(), absl::Seconds(10));
  ASSERT_TRUE(channel.ok()) << channel.status() << a->LogTail(20);

  const std::vector<HeldOutPrompt> prompts = HeldOut("regatta-dense", 8);
  std::atomic<bool> refused = false;
  std::thread load([&] {
    do {
      EXPECT_GE(CountExact(prompts, GenerateAll(*channel, GreedyRequests(prompts), 8)),
                0.97 * prompts.size());
    } while (!refused);
  });
  const auto b = Router("b", worker, "1", "2");
  EXPECT_TRUE(Await([&] { return b->Ended().has_value(); }));
  EXPECT_EQ(b->Ended(), "exit code 1");
  EXPECT_THAT(b->LogTail(20),
              HasSubstr("worker " + worker + " serves another router (epoch 1, 127.0.0.1:"));
  refused = true;
  load.join();
  const auto description = DescribeCluster(*channel, absl::Seconds(10));
  ASSERT_TRUE(description.ok()) << description.status();
  ASSERT_EQ(description->groups_size(), 1) << a->LogTail(20);
  EXPECT_EQ(description->groups(0).epoch(), 1u) << a->LogTail(20);

  const auto c = Router("c", worker, "1", "60");
  EXPECT_TRUE(Await([&] { return c->LogTail(20).find("waiting: ") != std::string::npos; }));
  kill(a->pid(), SIGKILL);
  const auto other = Connect(AddressOf("c"), TlsOptions(), absl::Seconds(10));
  ASSERT_TRUE(other.ok()) << other.status() << c->LogTail(20);
  EXPECT_GE(CountExact(prompts, GenerateAll(*other, GreedyRequests(prompts), 8)),
            0.97 * prompts.size());

  const auto d = Router("d", worker, "1", "60", {"--take-over"});
  const auto last = Connect(AddressOf("d"), TlsOptions(), absl::Seconds(10));
  ASSERT_TRUE(last.ok()) << last.status() << d->LogTail(20);
  EXPECT_TRUE(Await([&] { return c->LogTail(20).find("cannot re-form: ") != std::string::npos; }))
      << c->LogTail(20);
  EXPECT_THAT(c->LogTail(20), HasSubstr("worker " + worker + " serves another router (epoch "));
  absl::SleepFor(absl::Seconds(2));  // The ousted one tries again every second.
  EXPECT_GE(CountExact(prompts, GenerateAll(*last, GreedyRequests(prompts), 8)),
            0.97 * prompts.size());
  EXPECT_EQ(d->LogTail(100).find("is fenced"), std::string::npos) << d->LogTail(20);
}

}  // namespace
}  // namespace regatta::testing
