// How a rank's life ends: taken back it is idle, by a fault of its own it is faulted.
#include "worker/rank_lifecycle.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/time/clock.h"
#include "common/layout.h"
#include "tests/testing/temp_dir.h"
#include "tests/worker/threaded_group.h"
#include "tests/worker/tiny_models.h"
#include "worker/cpu_device.h"

namespace regatta {
namespace {

class RankLifecycleTest : public ::testing::Test {
 protected:
  RankLifecycleTest() {
    dir_.Write("config.json", TinyLlama());
    GroupOptions options;
    options.model.set_path(dir_.path());
    options.model.set_dummy_weights(true);
    options.layout = *MakeLayout(1, 1, 1, 1);
    request_ = ToFormRequest(options, 0, "");
  }

  // Forms a rank of `epoch` and begins its session.
  void Run(uint64_t epoch) {
    request_.set_group_epoch(epoch);
    const auto formed = lifecycle_.Form(request_, call_, [](const FormProgress&) {});
    ASSERT_TRUE(formed.ok()) << formed.status();
    RunStart start;
    start.set_group_epoch(epoch);
    ASSERT_TRUE(lifecycle_.BeginRun(start, call_.router, [](const std::string&) {}).ok());
    EXPECT_EQ(State(), "running");
  }
  WorkerDescription Describe() const {
    WorkerDescription description;
    lifecycle_.Describe(description);
    return description;
  }
  std::string State() const { return Describe().state(); }
  // What router "b" hears when it would take the rank back, with what it has seen.
  absl::Status DissolveByOther(bool take_over = false) {
    const uint64_t epoch = Describe().group_epoch() + (take_over ? 1 : 0);
    return lifecycle_.Dissolve(epoch, "b", take_over, absl::Milliseconds(1));
  }

  TempDir dir_;
  const RouterCall call_{"a", [] { return true; }};
  FormRequest request_;
  const std::unique_ptr<Device> device_ = MakeCpuDevice(1);
  RankLifecycle lifecycle_{*device_};
};

TEST_F(RankLifecycleTest, ASessionThatFailsLeavesItFaulted) {
  Run(1);
  lifecycle_.EndRun(absl::InternalError("a bad plan"));
  EXPECT_EQ(State(), "faulted");
  Run(2);  // A fault does not keep it from being formed again.
  lifecycle_.EndRun(absl::OkStatus());
  EXPECT_EQ(State(), "idle");
}

// The step in progress outlasts the time that Dissolve may take.
TEST_F(RankLifecycleTest, ASessionThatEndsAfterItsDissolveLeavesItIdle) {
  Run(1);
  EXPECT_EQ(lifecycle_.Dissolve(1, "a", false, absl::Milliseconds(1)).code(),
            absl::StatusCode::kDeadlineExceeded);
  lifecycle_.EndRun(absl::AbortedError("dissolved by epoch 1"));
  EXPECT_EQ(State(), "idle");
  Run(2);
  lifecycle_.EndRun(absl::InternalError("a bad plan"));
  EXPECT_EQ(State(), "faulted") << "what was dissolved before excuses nothing";
}

TEST_F(RankLifecycleTest, ASessionClosedByItsProcessLeavesItIdle) {
  Run(1);
  EXPECT_FALSE(lifecycle_.Close("the process ends", absl::Milliseconds(1)).ok());
  lifecycle_.EndRun(absl::AbortedError("the process ends"));
  EXPECT_EQ(State(), "idle");
}

TEST_F(RankLifecycleTest, WhatRunsIsKeptFromOtherRouters) {
  Run(1);
  const RouterCall other{"b", [] { return true; }};
  PrepareRequest prepare;
  prepare.set_group_epoch(2);
  prepare.set_world_size(1);
  const absl::Status refused = lifecycle_.Prepare(prepare, other).status();
  EXPECT_EQ(refused.code(), absl::StatusCode::kAborted);
  EXPECT_THAT(std::string(refused.message()),
              ::testing::HasSubstr("serves another router (epoch 1, a)"));
  request_.set_group_epoch(2);
  const auto formed = lifecycle_.Form(request_, other, [](const FormProgress&) {});
  EXPECT_EQ(formed.status().code(), absl::StatusCode::kAborted);
  EXPECT_EQ(DissolveByOther().code(), absl::StatusCode::kAborted);
  EXPECT_EQ(State(), "running");
  EXPECT_EQ(Describe().group_epoch(), 1) << "who is refused leaves no trace";
  lifecycle_.EndRun(absl::OkStatus());
  EXPECT_TRUE(DissolveByOther().ok());
}

TEST_F(RankLifecycleTest, ARouterWhoseStreamIsLostKeepsNothingAlsoWhileItsStepHangs) {
  Run(1);
  lifecycle_.AbortRun(1, "the router's stream is lost");
  EXPECT_EQ(DissolveByOther().code(), absl::StatusCode::kDeadlineExceeded);
  lifecycle_.EndRun(absl::CancelledError("the router's stream is lost"));
  EXPECT_TRUE(DissolveByOther().ok());
}

TEST_F(RankLifecycleTest, FormingIsKeptAsLongAsTheCallLives) {
  request_.set_group_epoch(1);
  std::atomic<bool> lives = true;
  std::vector<absl::StatusCode> others;
  const auto formed =
      lifecycle_.Form(request_, {"a", [&] { return lives.load(); }}, [&](const FormProgress&) {
        if (others.size() == 2) return;
        others.push_back(DissolveByOther().code());
        lives = false;
      });
  EXPECT_EQ(formed.status().code(), absl::StatusCode::kCancelled);
  EXPECT_THAT(others, ::testing::ElementsAre(absl::StatusCode::kAborted,
                                             absl::StatusCode::kDeadlineExceeded));
  EXPECT_EQ(State(), "idle");
}

TEST_F(RankLifecycleTest, WhatIsFormedIsKeptUntilItRunsOrAGraceIsOver) {
  request_.set_group_epoch(1);
  RankLifecycle lifecycle(*device_, absl::Milliseconds(500));
  ASSERT_TRUE(lifecycle.Form(request_, call_, [](const FormProgress&) {}).ok());
  EXPECT_TRUE(absl::IsAborted(lifecycle.Dissolve(1, "b", false, absl::Milliseconds(1))));
  absl::SleepFor(absl::Milliseconds(500));
  EXPECT_TRUE(lifecycle.Dissolve(1, "b", false, absl::Milliseconds(1)).ok());
}

TEST_F(RankLifecycleTest, TakingOverKeepsTheOustedRouterOut) {
  Run(1);
  EXPECT_EQ(DissolveByOther(true).code(), absl::StatusCode::kDeadlineExceeded);
  lifecycle_.EndRun(absl::AbortedError("dissolved by epoch 2"));
  request_.set_group_epoch(3);
  EXPECT_EQ(lifecycle_.Form(request_, call_, [](const FormProgress&) {}).status().code(),
            absl::StatusCode::kAborted);
  request_.set_group_epoch(2);
  const RouterCall other{"b", [] { return true; }};
  EXPECT_TRUE(lifecycle_.Form(request_, other, [](const FormProgress&) {}).ok());
}

}  // namespace
}  // namespace regatta
