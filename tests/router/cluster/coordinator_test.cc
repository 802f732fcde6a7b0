// Requests through the coordinator: placement, limits, deadlines, cancellation, draining.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/router/cluster/coordinator_fixture.h"

namespace regatta {
namespace {

using std::chrono::milliseconds;
using testing::HasSubstr;

class CoordinatorTest : public CoordinatorFixture {};

TEST_F(CoordinatorTest, ServesOnSeveralGroups) {
  AddWorkers(5, milliseconds(0));
  ASSERT_TRUE(Start(*MakeLayout(2, 1, 1, 2)).ok());
  SubmitAll(1, 200);
  ExpectExact(1, 200);
  ASSERT_TRUE(Await([&] { return State().finished() == 200; }));  // Told after the last delta.
  const ClusterState state = State();
  EXPECT_EQ(state.phase(), "serving");
  EXPECT_EQ(state.running() + state.waiting(), 0);
  uint64_t outputs = 0;
  for (uint64_t tag = 1; tag <= 200; ++tag) outputs += LengthOf(tag);
  EXPECT_EQ(state.output_tokens(), outputs);

  const ClusterDescription description = Describe();
  ASSERT_EQ(description.groups_size(), 2);
  EXPECT_EQ(description.groups(0).addresses_size(), 2);
  EXPECT_EQ(description.limits().max_batch_size(), 16);
  EXPECT_THAT(description.limits().reasoning(), HasSubstr("max_batch_size 16: asked for"));
  ASSERT_EQ(description.workers_size(), 5);
  EXPECT_EQ(description.workers(4).group(), -1);  // a spare
  EXPECT_EQ(description.workers(4).description().device_name(), "fake");
  EXPECT_EQ(description.max_inflight(), 2);
  for (const auto& group : description.groups()) EXPECT_GT(group.kv_blocks(), 0);
  for (auto& worker : workers_) EXPECT_EQ(worker.plans_run() > 0, &worker != &workers_.back());
}

TEST_F(CoordinatorTest, WorkersAreGivenBackAtTheEnd) {
  AddWorkers(2, milliseconds(1));
  ASSERT_TRUE(Start(*MakeLayout(2, 1, 1, 1)).ok());
  ASSERT_TRUE(Submit(1, 1000).ok());
  ASSERT_TRUE(stream_->AwaitCount(1, 3));
  coordinator_.reset();
  EXPECT_EQ(stream_->Get(1).status.code(), absl::StatusCode::kUnavailable);
  for (auto& worker : workers_) EXPECT_EQ(worker.state(), "idle");
}

// What the workers were when the layout was planned is no longer what they are.
TEST_F(CoordinatorTest, WorkersAreDescribedAsTheyAreNow) {
  AddWorkers(3, milliseconds(0));
  ASSERT_TRUE(Start(*MakeLayout(2, 1, 1, 1)).ok());
  EXPECT_EQ(Describe().workers(0).description().state(), "running");
  ASSERT_TRUE(RepartitionTo(1, 1, 1).ok());
  const ClusterDescription description = Describe();
  std::vector<std::string> states;
  for (const PoolWorker& worker : description.workers()) {
    states.push_back(worker.description().state());
  }
  EXPECT_THAT(states, testing::UnorderedElementsAre("running", "idle", "idle"));
}

TEST_F(CoordinatorTest, TooFewWorkersAtStartIsAnError) {
  AddWorkers(3, milliseconds(0));
  const absl::Status status = Start(*MakeLayout(2, 1, 1, 2));
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(std::string(status.message()), HasSubstr("needs 4 workers"));
  EXPECT_EQ(Submit(1, 1).status().code(), absl::StatusCode::kUnavailable);
}

TEST_F(CoordinatorTest, TooFewWorkersForAnotherLayoutNamesThoseThatFit) {
  AddWorkers(2, milliseconds(0));
  ASSERT_TRUE(Start(*MakeLayout(2, 1, 1, 1)).ok());
  const absl::Status status = RepartitionTo(2, 1, 2);
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("layout tp2-dp2 needs 4 workers, the pool has 2; layouts of 2 ranks that "
                        "fit: tp2"));
  EXPECT_EQ(Describe().groups_size(), 1);  // goes on serving
}

TEST_F(CoordinatorTest, GraphsAskedOfCpuRanksAreSaidToHaveNoEffect) {
  AddWorkers(1, milliseconds(0));
  options_.former.graphs.emplace();
  ASSERT_TRUE(Start(*MakeLayout(1, 1, 1, 1)).ok());
  EXPECT_TRUE(Logged("no effect on CPU ranks"));
}

TEST_F(CoordinatorTest, GraphsOfDevicesAreAskedForAndCounted) {
  workers_.emplace_back(FakeWorkerOptions{.device_kind = "cuda", .num_graphs = 7});
  options_.former.graphs.emplace().add_batch_sizes(2);
  ASSERT_TRUE(Start(*MakeLayout(1, 1, 1, 1)).ok());
  EXPECT_FALSE(Logged("no effect"));
  EXPECT_TRUE(Logged(", 7 graphs in "));
  EXPECT_THAT(Worker(0).resident().graphs().batch_sizes(), testing::ElementsAre(2));
}

TEST_F(CoordinatorTest, AGroupWithAFullInboxIsTriedAgain) {
  AddWorkers(1, milliseconds(2));
  options_.engine_inbox_capacity = 8;
  ASSERT_TRUE(Start(*MakeLayout(1, 1, 1, 1)).ok());
  SubmitAll(1, 60);
  ExpectExact(1, 60);
}

TEST_F(CoordinatorTest, AFullQueueIsRefused) {
  AddWorkers(1, milliseconds(20));
  options_.limits.set_max_batch_size(1);
  options_.max_queue_size = 4;
  ASSERT_TRUE(Start(*MakeLayout(1, 1, 1, 1)).ok());
  int refused = 0;
  for (uint64_t tag = 1; tag <= 60; ++tag) refused += !Submit(tag, 500).ok();
  const auto counted = [&] {
    return coordinator_->metrics().refused(absl::StatusCode::kResourceExhausted);
  };
  ASSERT_TRUE(Await([&] { return State().running() + State().waiting() + counted() == 60; }));
  for (uint64_t tag = 1; tag <= 60; ++tag) {
    const absl::Status status = stream_->Get(tag).status;
    if (status.ok()) continue;
    EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
    EXPECT_THAT(std::string(status.message()), HasSubstr("max_queue_size 4"));
    ++refused;
  }
  EXPECT_GT(refused, 0);
  EXPECT_LT(refused, 60);
  EXPECT_EQ(counted(), static_cast<uint64_t>(refused));
  EXPECT_EQ(coordinator_->metrics().ends().Get(FINISH_REASON_ERROR), 0);
}

TEST_F(CoordinatorTest, QueueDeadlinesHoldWhereverARequestWaits) {
  AddWorkers(1, milliseconds(5));
  options_.limits.set_max_batch_size(1);
  options_.queue_timeout_ms = 60'000;
  ASSERT_TRUE(Start(*MakeLayout(1, 1, 1, 1)).ok());
  ASSERT_TRUE(Submit(1, 100).ok());
  ASSERT_TRUE(stream_->AwaitCount(1, 1));
  for (uint64_t tag = 2; tag <= 60; ++tag) {  // In the scheduler and in placement.
    GenerateRequest request = RequestOf(tag, 5);
    request.set_queue_timeout_ms(50);
    ASSERT_TRUE(coordinator_->Submit(request, tag, stream_).ok());
  }
  const absl::Time start = absl::Now();
  for (uint64_t tag = 2; tag <= 60; ++tag) {
    ASSERT_TRUE(stream_->AwaitEnd(tag));
    EXPECT_EQ(stream_->Get(tag).status.code(), absl::StatusCode::kDeadlineExceeded);
  }
  EXPECT_LT(absl::Now() - start, absl::Seconds(2));
  ASSERT_TRUE(stream_->AwaitEnd(1));
  EXPECT_EQ(stream_->Get(1).count, 100);
}

TEST_F(CoordinatorTest, CancelEndsWaitingAndRunningRequests) {
  AddWorkers(1, milliseconds(2));
  options_.limits.set_max_batch_size(1);
  options_.prefix_cache = false;
  ASSERT_TRUE(Start(*MakeLayout(1, 1, 1, 1)).ok());
  std::vector<uint64_t> ids;
  for (uint64_t tag = 1; tag <= 40; ++tag) ids.push_back(*Submit(tag, 1000));
  ASSERT_TRUE(stream_->AwaitCount(1, 5));
  for (const uint64_t id : ids) coordinator_->Cancel(id);
  coordinator_->Cancel(987654);
  for (uint64_t tag = 1; tag <= 40; ++tag) {
    ASSERT_TRUE(stream_->AwaitEnd(tag));
    EXPECT_EQ(stream_->Get(tag).last.finish_reason(), FINISH_REASON_CANCELLED);
    EXPECT_TRUE(stream_->Get(tag).last.has_usage());
  }
  EXPECT_TRUE(Await([&] { return State().kv_usage() == 0; }));
  EXPECT_EQ(stream_->calls_after_end(), 0);
}

TEST_F(CoordinatorTest, DrainWaitsForWhatRuns) {
  AddWorkers(1, milliseconds(1));
  ASSERT_TRUE(Start(*MakeLayout(1, 1, 1, 1)).ok());
  SubmitAll(1, 20);
  absl::Notification drained;
  DrainResponse response;
  coordinator_->Drain(absl::Seconds(30), [&](DrainResponse answer) {
    response = answer;
    drained.Notify();
  });
  ASSERT_TRUE(Await([&] { return !Submit(99, 1).ok(); }));
  EXPECT_THAT(std::string(Submit(99, 1).status().message()), HasSubstr("draining"));
  drained.WaitForNotification();
  ExpectExact(1, 20);
  EXPECT_EQ(response.completed(), 20);
  EXPECT_EQ(response.cancelled(), 0);
}

TEST_F(CoordinatorTest, DrainCancelsAtItsDeadline) {
  AddWorkers(1, milliseconds(1));
  ASSERT_TRUE(Start(*MakeLayout(1, 1, 1, 1)).ok());
  ASSERT_TRUE(Submit(1, 2000).ok());
  ASSERT_TRUE(stream_->AwaitCount(1, 1));
  absl::Notification drained;
  const absl::Time start = absl::Now();
  coordinator_->Drain(absl::Milliseconds(200), [&](DrainResponse answer) {
    EXPECT_EQ(answer.cancelled(), 1);
    EXPECT_EQ(answer.completed(), 0);
    drained.Notify();
  });
  drained.WaitForNotification();
  EXPECT_LT(absl::Now() - start, absl::Seconds(1));
  EXPECT_EQ(stream_->Get(1).last.finish_reason(), FINISH_REASON_CANCELLED);
}

}  // namespace
}  // namespace regatta
