// What the coordinator counts is exact: requests of known lengths, however they end and whichever
// groups they lose on the way.
#include <gtest/gtest.h>

#include "router/metrics/router_metrics.h"
#include "tests/router/cluster/coordinator_fixture.h"

namespace regatta {
namespace {

using std::chrono::milliseconds;

class CoordinatorMetricsTest : public CoordinatorFixture {
 protected:
  const RouterMetrics& metrics() { return coordinator_->metrics(); }
  GroupTotals Totals() { return metrics().Take().totals; }
  uint64_t Count(GroupHistogram histogram) { return Totals().Get(histogram).count(); }
  uint64_t Ended(FinishReason reason) { return metrics().ends().Get(reason); }

  // All of `first` ... `last` have ended by their length and were undisturbed.
  void ExpectTotals(uint64_t first, uint64_t last) {
    uint64_t prompts = 0, outputs = 0;
    for (uint64_t tag = first; tag <= last; ++tag) {
      prompts += PromptOf(tag).size();
      outputs += LengthOf(tag);
    }
    const uint64_t requests = last - first + 1;
    const GroupTotals totals = Totals();
    EXPECT_EQ(totals.Get(GroupCounter::kPromptTokens), prompts);
    EXPECT_EQ(totals.Get(GroupCounter::kGenerationTokens), outputs);
    EXPECT_EQ(totals.Get(GroupHistogram::kPromptTokens).sum, prompts);
    EXPECT_EQ(totals.Get(GroupHistogram::kGenerationTokens).sum, outputs);
    EXPECT_EQ(totals.Get(GroupHistogram::kInterToken).count(), outputs - requests);
    for (const GroupHistogram histogram :
         {GroupHistogram::kFirstToken, GroupHistogram::kTimePerOutputToken,
          GroupHistogram::kEndToEnd, GroupHistogram::kQueue, GroupHistogram::kInference,
          GroupHistogram::kPrefill, GroupHistogram::kDecode}) {
      EXPECT_EQ(totals.Get(histogram).count(), requests) << static_cast<int>(histogram);
    }
    EXPECT_EQ(Ended(FINISH_REASON_LENGTH), requests);
    EXPECT_EQ(Ended(FINISH_REASON_ERROR) + Ended(FINISH_REASON_CANCELLED), 0);
  }
};

TEST_F(CoordinatorMetricsTest, TwoGroups_TotalsOfKnownRequestsAreExact) {
  AddWorkers(4, milliseconds(0));
  ASSERT_TRUE(Start(*MakeLayout(2, 1, 1, 2)).ok());
  SubmitAll(1, 100);
  ExpectExact(1, 100);
  ExpectTotals(1, 100);
  ASSERT_TRUE(Await([&] { return State().running() == 0; }));
  const RouterMetrics::Snapshot snapshot = metrics().Take();
  ASSERT_EQ(snapshot.groups.size(), 2);
  for (const auto& group : snapshot.groups) {
    EXPECT_EQ(group->running() + group->waiting() + group->used_blocks(), 0);
    EXPECT_EQ(group->facts().kv_blocks, 2048);
  }
  // Nothing is recomputed here, so that every prompt token was computed or found.
  EXPECT_EQ(snapshot.totals.Get(GroupCounter::kPreemptions), 0);
  EXPECT_EQ(snapshot.totals.Get(GroupCounter::kComputedTokens) +
                snapshot.totals.Get(GroupCounter::kCachedTokens),
            snapshot.totals.Get(GroupCounter::kPromptTokens));
  EXPECT_EQ(snapshot.totals.Get(GroupCounter::kQueriedTokens),
            snapshot.totals.Get(GroupCounter::kPromptTokens));
}

TEST_F(CoordinatorMetricsTest, Gpus_AreToldOfByWorkerUntilTheyHaveNoRank) {
  GpuReading reading;
  reading.set_time_ns(123'456'789);
  reading.set_energy_mj(5'000'000);
  reading.set_power_mw(650'000);
  reading.set_age_ns(3'000'000'000);
  AddWorkers(1, milliseconds(0));  // as old as to tell nothing
  workers_.emplace_back(FakeWorkerOptions{.gpu = reading});
  ASSERT_TRUE(Start(*MakeLayout(2, 1, 1, 1)).ok());
  ASSERT_TRUE(Await([&] { return State().gpus_size() > 0; }));
  const ClusterState state = State();
  ASSERT_EQ(state.gpus_size(), 1);
  const uint32_t worker = state.gpus(0).worker();
  GpuReading told = state.gpus(0).reading();
  EXPECT_GE(told.age_ns(), reading.age_ns());
  told.set_age_ns(reading.age_ns());
  EXPECT_EQ(told.SerializeAsString(), reading.SerializeAsString());
  const ClusterDescription description = Describe();
  EXPECT_EQ(description.workers(worker).address(), Worker(1).address());
  EXPECT_EQ(description.workers(worker).description().gpu().power_limit_w(), 700);
  EXPECT_EQ(description.workers(worker).description().gpu_software().driver(), "580.65.06");
  EXPECT_FALSE(description.workers(1 - worker).description().has_gpu());
  Worker(0).Kill();
  EXPECT_TRUE(Await([&] { return State().gpus_size() == 0; }));
}

TEST_F(CoordinatorMetricsTest, Steps_AreCountedByEveryRank) {
  AddWorkers(2, milliseconds(0));
  ASSERT_TRUE(Start(*MakeLayout(2, 1, 1, 1)).ok());
  SubmitAll(1, 20);
  ExpectExact(1, 20);
  ASSERT_TRUE(Await([&] { return metrics().Take().groups[0]->running() == 0; }));
  const uint64_t steps = Totals().Get(GroupCounter::kSteps);
  EXPECT_GT(steps, LengthOf(1));
  const auto counted = [&](uint32_t rank) { return metrics().Take().ranks.at({0, rank}); };
  // The rank that does not sample may tell of its last steps a little later.
  ASSERT_TRUE(Await([&] { return counted(1).timed_steps == steps; })) << counted(1).timed_steps;
  for (const uint32_t rank : {0, 1}) {
    EXPECT_EQ(counted(rank).timed_steps, steps);
    EXPECT_EQ(counted(rank).compute_ns, steps * FakeWorkerOptions().compute_ns);
    EXPECT_TRUE(
        Await([&] { return metrics().Take().groups[0]->rank(rank).completed.Get() == steps; }));
  }
  for (const GroupHistogram histogram :
       {GroupHistogram::kStep, GroupHistogram::kStepSchedule, GroupHistogram::kStepCompute,
        GroupHistogram::kStepCommit, GroupHistogram::kStepSequences, GroupHistogram::kStepTokens}) {
    EXPECT_EQ(Count(histogram), steps) << static_cast<int>(histogram);
  }
  // Every token that was computed, and every token that was drawn but the last ones.
  const GroupTotals totals = Totals();
  EXPECT_EQ(
      totals.Get(GroupHistogram::kStepTokens).sum,
      totals.Get(GroupCounter::kComputedTokens) + totals.Get(GroupCounter::kGenerationTokens) - 20);
}

TEST_F(CoordinatorMetricsTest, GroupsLostAndFormedAgain_TotalsStayExact) {
  AddWorkers(4, milliseconds(1));
  ASSERT_TRUE(Start(*MakeLayout(2, 1, 1, 2)).ok());
  SubmitAll(1, 100);
  ASSERT_TRUE(Await([&] { return Totals().Get(GroupCounter::kGenerationTokens) > 200; }));
  Worker(1).Kill();
  ExpectExact(1, 100);
  ExpectTotals(1, 100);
  Worker(1).Restart();
  ASSERT_TRUE(Await([&] { return metrics().Take().groups.size() == 2; }));
  SubmitAll(101, 140);
  ExpectExact(101, 140);
  ExpectTotals(1, 140);
}

TEST_F(CoordinatorMetricsTest, EveryEnd_IsCountedOnce) {
  options_.max_queue_size = 4096;
  AddWorkers(1, milliseconds(2));
  ASSERT_TRUE(Start(*MakeLayout(1, 1, 1, 1)).ok());
  // More than have a slot: some are cancelled while they run, some while they wait.
  std::vector<uint64_t> ids;
  for (uint64_t tag = 1; tag <= 60; ++tag) ids.push_back(*Submit(tag, 1000));
  ASSERT_TRUE(Await([&] { return metrics().Take().groups[0]->running() == 16; }));
  EXPECT_TRUE(Await(
      [&] { return metrics().unplaced() + metrics().Take().groups[0]->waiting() == 60 - 16; }));
  GenerateRequest late = RequestOf(61, 10);
  late.set_queue_timeout_ms(1);
  ASSERT_TRUE(coordinator_->Submit(late, 61, stream_).ok());
  ASSERT_TRUE(stream_->AwaitEnd(61, absl::Seconds(20)));
  for (const uint64_t id : ids) coordinator_->Cancel(id);
  for (uint64_t tag = 1; tag <= 60; ++tag) ASSERT_TRUE(stream_->AwaitEnd(tag, absl::Seconds(20)));
  EXPECT_EQ(Ended(FINISH_REASON_CANCELLED), 60);
  EXPECT_EQ(Ended(FINISH_REASON_ERROR), 1);
  EXPECT_EQ(Ended(FINISH_REASON_LENGTH) + Ended(FINISH_REASON_STOP), 0);
  EXPECT_EQ(Count(GroupHistogram::kEndToEnd), 0) << "only of requests that end by themselves";
  uint64_t sent = 0;
  for (uint64_t tag = 1; tag <= 60; ++tag) sent += stream_->Get(tag).count;
  EXPECT_EQ(Totals().Get(GroupCounter::kGenerationTokens), sent);

  EXPECT_FALSE(Submit(62, 1'000'000).ok());
  EXPECT_EQ(metrics().refused(absl::StatusCode::kInvalidArgument), 1);
}

TEST_F(CoordinatorMetricsTest, BeforeStart_ThereAreFiguresAndRefusalsCount) {
  AddWorkers(1, milliseconds(0));
  ASSERT_TRUE(Start(*MakeLayout(1, 1, 1, 1)).ok());
  Coordinator cold(options_, spec_, nullptr, *pool_);
  EXPECT_TRUE(cold.metrics().Take().groups.empty());
  EXPECT_FALSE(cold.Submit(RequestOf(1, 10), 1, stream_).ok());
  EXPECT_EQ(cold.metrics().refused(absl::StatusCode::kUnavailable), 1);
}

}  // namespace
}  // namespace regatta
