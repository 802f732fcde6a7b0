// How a rank's life ends: taken back it is idle, by a fault of its own it is faulted.
#include "worker/rank_lifecycle.h"

#include <gtest/gtest.h>

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
    const auto formed = lifecycle_.Form(request_, [](const FormProgress&) {});
    ASSERT_TRUE(formed.ok()) << formed.status();
    RunStart start;
    start.set_group_epoch(epoch);
    ASSERT_TRUE(lifecycle_.BeginRun(start, [](const std::string&) {}).ok());
    EXPECT_EQ(State(), "running");
  }
  std::string State() const {
    WorkerDescription description;
    lifecycle_.Describe(description);
    return description.state();
  }

  TempDir dir_;
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
  EXPECT_EQ(lifecycle_.Dissolve(1, absl::Milliseconds(1)).code(),
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

}  // namespace
}  // namespace regatta
