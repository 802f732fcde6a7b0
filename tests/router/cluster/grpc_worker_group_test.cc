// Plans out and results in over real gRPC streams: death, silence and lies of a rank are named in
// time.
#include "router/cluster/grpc_worker_group.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "router/cluster/pool.h"
#include "tests/testing/fake_worker_service.h"

namespace regatta {
namespace {

using testing::AllOf;
using testing::HasSubstr;

// Two ranks, formed as one group.
class GrpcWorkerGroupTest : public testing::Test {
 protected:
  GrpcWorkerGroupTest() {
    PoolOptions options;
    for (const auto& worker : workers_) options.addresses.push_back(worker.address());
    options.heartbeat_timeout = absl::Milliseconds(500);
    pool_ = *Pool::Create(options);
    FormRequest request;
    request.set_group_epoch(3);
    request.mutable_layout()->set_attention_tp(2);
    request.mutable_layout()->set_expert_tp(2);
    request.mutable_limits()->set_max_batch_size(8);
    request.mutable_limits()->set_max_num_tokens(64);
    request.mutable_limits()->set_max_seq_len(512);
    request.set_block_size(16);
    const auto formed = pool_->Form({0, 1}, request, 1 << 20, absl::Seconds(20), nullptr);
    EXPECT_TRUE(formed.ok()) << formed.status();
  }

  std::unique_ptr<WorkerGroup> Start() {
    return Start(pool_->Connect({0, 1}, 3, /*on_device=*/true));
  }
  std::unique_ptr<WorkerGroup> Start(std::unique_ptr<WorkerGroup> group) {
    group->Start([this](absl::StatusOr<StepResult> result) {
      absl::MutexLock lock(&mutex_);
      EXPECT_TRUE(fence_.ok()) << "a call after the fence";
      if (result.ok()) {
        ++results_;
        return;
      }
      fence_ = result.status();
      fenced_at_ = absl::Now();
    });
    return group;
  }
  // A prompt of one token in its own slot; each plan is a new sequence.
  static StepPlan Plan(uint64_t step) {
    StepPlan plan;
    plan.set_step_id(step);
    if (step > 1) plan.add_released_slots(0);
    Admission& admission = *plan.add_admissions();
    admission.set_slot(0);
    admission.set_prompt_length(1);
    plan.add_slot(0);
    plan.add_start(0);
    plan.add_count(1);
    plan.add_flags(STEP_FLAG_SAMPLE | STEP_FLAG_INLINE_TOKENS);
    plan.add_new_block_count(1);
    plan.add_new_blocks(0);
    plan.add_tokens(7);
    return plan;
  }
  bool AwaitResults(int count) {
    absl::MutexLock lock(&mutex_);
    const auto enough = [this, count] { return results_ >= count; };
    return mutex_.AwaitWithTimeout(absl::Condition(&enough), absl::Seconds(10));
  }
  absl::Status AwaitFence() {
    absl::MutexLock lock(&mutex_);
    const auto fenced = [this] { return !fence_.ok(); };
    EXPECT_TRUE(mutex_.AwaitWithTimeout(absl::Condition(&fenced), absl::Seconds(10)));
    return fence_;
  }

  FakeWorkerService workers_[2];
  std::unique_ptr<Pool> pool_;
  absl::Mutex mutex_;
  int results_ = 0;
  absl::Status fence_;
  absl::Time fenced_at_;
};

TEST_F(GrpcWorkerGroupTest, EveryRankRunsEveryPlan) {
  auto group = Start();
  for (uint64_t step = 1; step <= 50; ++step) {
    group->Dispatch(Plan(step));
    ASSERT_TRUE(AwaitResults(step));
  }
  group->Stop();
  EXPECT_EQ(workers_[0].plans_run(), 50);
  EXPECT_TRUE(fence_.ok()) << fence_;
}

TEST_F(GrpcWorkerGroupTest, ADeadRankFencesWithin500Ms) {
  auto group = Start();
  group->Dispatch(Plan(1));
  ASSERT_TRUE(AwaitResults(1));
  absl::SleepFor(absl::Milliseconds(250));  // A beat that says so.
  const absl::Time killed = absl::Now();
  workers_[1].Kill();
  const absl::Status fence = AwaitFence();
  EXPECT_LT(fenced_at_ - killed, absl::Milliseconds(500));
  EXPECT_EQ(fence.code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(fence.message()),
              AllOf(HasSubstr("rank 1 (" + workers_[1].address() + ")"), HasSubstr("closed"),
                    HasSubstr("completed 1")));
}

TEST_F(GrpcWorkerGroupTest, ASilentRankIsFencedByItsMissingHeartbeats) {
  auto group = Start();
  group->Dispatch(Plan(1));
  ASSERT_TRUE(AwaitResults(1));
  absl::SleepFor(absl::Milliseconds(250));  // A beat that says so.
  workers_[1].SetFault(Fault::kFallsSilent, 2);
  const absl::Time since = absl::Now();
  group->Dispatch(Plan(2));
  const absl::Status fence = AwaitFence();
  EXPECT_LT(fenced_at_ - since, absl::Milliseconds(1200));
  EXPECT_THAT(std::string(fence.message()),
              AllOf(HasSubstr("rank 1"), HasSubstr("silent for"), HasSubstr("completed 1")));
}

TEST_F(GrpcWorkerGroupTest, AStuckRankIsNamedByItsStepIds) {
  auto group = Start();
  workers_[0].SetFault(Fault::kStepHangs, 3);
  for (uint64_t step = 1; step <= 3; ++step) {
    group->Dispatch(Plan(step));
    ASSERT_TRUE(step == 3 || AwaitResults(step));
  }
  absl::SleepFor(absl::Milliseconds(300));
  EXPECT_THAT(group->Laggard(), AllOf(HasSubstr("rank 0"), HasSubstr("completed 2")));
  absl::SleepFor(absl::Milliseconds(500));
  absl::MutexLock lock(&mutex_);
  EXPECT_TRUE(fence_.ok()) << "it still beats: the engine loop decides";
}

TEST_F(GrpcWorkerGroupTest, ALateRankThatDoesNotSampleGatesNothing) {
  workers_[1].SetFault(Fault::kStepHangs, 1);
  auto group = Start();
  for (uint64_t step = 1; step <= 100; ++step) {
    group->Dispatch(Plan(step));
    ASSERT_TRUE(AwaitResults(step));
  }
  absl::MutexLock lock(&mutex_);
  EXPECT_TRUE(fence_.ok()) << fence_;
}

TEST_F(GrpcWorkerGroupTest, AnErrorOfARankIsTheCause) {
  workers_[1].SetFault(Fault::kStepFails, 2);
  auto group = Start();
  group->Dispatch(Plan(1));
  ASSERT_TRUE(AwaitResults(1));
  group->Dispatch(Plan(2));
  EXPECT_THAT(std::string(AwaitFence().message()),
              AllOf(HasSubstr("rank 1"), HasSubstr("device fault")));
}

TEST_F(GrpcWorkerGroupTest, ARankThatRefusesTheStreamFences) {
  workers_[0].SetFault(Fault::kRunRefused);
  auto group = Start();
  EXPECT_THAT(std::string(AwaitFence().message()),
              AllOf(HasSubstr("rank 0"), HasSubstr("refused")));
}

TEST_F(GrpcWorkerGroupTest, ARankThatDoesNotReadFences) {
  std::vector<RankEndpoint> ranks;
  for (const auto& worker : workers_) {
    ranks.push_back({static_cast<uint32_t>(ranks.size()), worker.address(),
                     grpc::CreateChannel(worker.address(), grpc::InsecureChannelCredentials())});
  }
  auto group = Start(std::make_unique<GrpcWorkerGroup>(
      GrpcWorkerGroupOptions{.epoch = 3, .max_queued_plans = 4}, ranks));
  workers_[0].SetFault(Fault::kStepHangs, 1);
  StepPlan big = Plan(1);
  for (int i = 0; i < 1'000'000; ++i)
    big.add_tokens(1 << 20);  // Beyond every window of the network.
  for (int i = 0; i < 40; ++i) group->Dispatch(big);
  EXPECT_THAT(std::string(AwaitFence().message()), HasSubstr("does not read"));
}

TEST_F(GrpcWorkerGroupTest, NothingIsCalledAfterStop) {
  auto group = Start();
  workers_[0].SetFault(Fault::kStepHangs, 1);
  group->Dispatch(Plan(1));
  group->Stop();
  const absl::Time start = absl::Now();
  group.reset();
  EXPECT_LT(absl::Now() - start, absl::Seconds(1));
  EXPECT_EQ(results_, 0);
  EXPECT_TRUE(fence_.ok());
}

}  // namespace
}  // namespace regatta
