// When a point is called client-bound, what its line says, and the CPU quota's counter.
#include "orchestrator/load/client_verdict.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "absl/strings/str_cat.h"
#include "orchestrator/load/cgroup_throttling.h"

namespace regatta {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// 100 ms to the first token, 20 ms between tokens, a client that keeps up.
PointReport GoodPoint() {
  PointReport point;
  point.mutable_streaming_metrics()->mutable_ttft_percentiles()->set_p50(100);
  point.mutable_regatta()->set_streaming(true);
  point.mutable_regatta()->set_duration_s(10);
  point.mutable_regatta()->mutable_itl_ms()->set_p50(20);
  ClientReport& client = *point.mutable_regatta()->mutable_client();
  client.set_threads(2);
  client.mutable_send_lag_ms()->set_p99(9);
  client.set_longest_stall_ms(90);
  client.set_busiest_thread(0.5);
  client.set_throttled_periods(0);
  client.set_events_per_s(6000);
  client.mutable_calibration()->set_max_events_per_s(10000);
  client.mutable_calibration()->mutable_timestamp_error_us()->set_p99(3900);
  return point;
}

std::vector<std::string> Reasons(PointReport point) {
  JudgeClient(point);
  const ClientReport& client = point.regatta().client();
  EXPECT_EQ(client.bound(), client.reasons_size() > 0);
  return {client.reasons().begin(), client.reasons().end()};
}

TEST(ClientVerdictTest, AClientThatKeepsUpIsNotBound) {
  PointReport point = GoodPoint();
  EXPECT_THAT(Reasons(point), IsEmpty());
  JudgeClient(point);
  EXPECT_EQ(ClientLine(point.regatta().client()),
            "client_bound: no (2 threads, 50 % busy, send lag p99 9.00 ms, longest stall 90.0 ms)");
}

TEST(ClientVerdictTest, EachLimitIsAReason) {
  PointReport point = GoodPoint();
  point.mutable_regatta()->mutable_client()->mutable_send_lag_ms()->set_p99(11);
  EXPECT_THAT(Reasons(point), ElementsAre("requests left 11.0 ms late (p99; at most 10.0)"));
  point = GoodPoint();
  point.mutable_regatta()
      ->mutable_client()
      ->mutable_calibration()
      ->mutable_timestamp_error_us()
      ->set_p99(4100);
  EXPECT_THAT(Reasons(point),
              ElementsAre("times are recorded 4.10 ms late on this machine (p99; at most 4.00)"));
  point = GoodPoint();
  point.mutable_regatta()->mutable_client()->set_events_per_s(7100);
  EXPECT_THAT(Reasons(point), ElementsAre("7100 token messages came per second, of 10000 that the "
                                          "client takes"));
  point = GoodPoint();
  point.mutable_regatta()->mutable_client()->set_busiest_thread(0.97);
  EXPECT_THAT(Reasons(point), ElementsAre("a client thread was busy 97 % of the time"));
  point = GoodPoint();
  point.mutable_regatta()->mutable_client()->set_longest_stall_ms(120);
  EXPECT_THAT(Reasons(point),
              ElementsAre("a client thread did not look for tokens for 120 ms (at most 100)"));
  point = GoodPoint();
  point.mutable_regatta()->mutable_client()->set_throttled_periods(3);
  EXPECT_THAT(Reasons(point), ElementsAre("the CPU quota was used up in 3 periods (cpu.stat)"));
}

TEST(ClientVerdictTest, ManyReasonsAreAllSaid) {
  PointReport point = GoodPoint();
  point.mutable_regatta()->mutable_client()->set_busiest_thread(1);
  point.mutable_regatta()->mutable_client()->set_throttled_periods(1);
  JudgeClient(point);
  EXPECT_THAT(ClientLine(point.regatta().client()),
              HasSubstr("yes: a client thread was busy 100 % of the time; the CPU quota"));
}

class CgroupThrottlingTest : public ::testing::Test {
 protected:
  void SetUp() override {
    root_ = fs::path(::testing::TempDir()) /
            absl::StrCat("cgroup-", ::getpid(), "-",
                         ::testing::UnitTest::GetInstance()->current_test_info()->name());
  }
  void TearDown() override { fs::remove_all(root_); }
  void Write(const std::string& path, const std::string& text) {
    const fs::path file = root_ / path;
    fs::create_directories(file.parent_path());
    std::ofstream(file) << text;
  }
  fs::path root_;
};

TEST_F(CgroupThrottlingTest, SumsTheGroupAndItsAncestors) {
  Write("proc/self/cgroup", "0::/pod/container\n");
  Write("sys/fs/cgroup/cpu.stat", "usage_usec 5\n");  // the root has no quota
  Write("sys/fs/cgroup/pod/cpu.stat", "usage_usec 5\nnr_periods 9\nnr_throttled 2\n");
  Write("sys/fs/cgroup/pod/container/cpu.stat", "nr_throttled 3\nthrottled_usec 7\n");
  EXPECT_EQ(ThrottledPeriods(root_.string()), 5u);
}

TEST_F(CgroupThrottlingTest, ReadsTheCpuControllerOfVersion1) {
  Write("proc/self/cgroup", "4:memory:/elsewhere\n2:cpuacct,cpu:/a\n0::/\n");
  Write("sys/fs/cgroup/cpu/a/cpu.stat", "nr_periods 4\nnr_throttled 4\n");
  EXPECT_EQ(ThrottledPeriods(root_.string()), 4u);
}

TEST_F(CgroupThrottlingTest, NothingIsCountedWithoutAQuota) {
  EXPECT_EQ(ThrottledPeriods(root_.string()), std::nullopt);
  Write("proc/self/cgroup", "0::/\n");
  Write("sys/fs/cgroup/cpu.stat", "usage_usec 5\n");
  EXPECT_EQ(ThrottledPeriods(root_.string()), std::nullopt);
}

}  // namespace
}  // namespace regatta
