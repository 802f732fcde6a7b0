// Groups that break, come back and change shape under load: no token may be lost, doubled or
// different.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/router/cluster/coordinator_fixture.h"

namespace regatta {
namespace {

using std::chrono::milliseconds;
using testing::HasSubstr;

class CoordinatorFaultTest : public CoordinatorFixture {
 protected:
  // Some of the requests are in the middle of their output.
  void AwaitTokens(uint64_t first, uint64_t last) {
    ASSERT_TRUE(Await([&] {
      int started = 0;
      for (uint64_t tag = first; tag <= last; ++tag) started += stream_->Get(tag).count > 2;
      return started > 8;
    }));
  }
};

TEST_F(CoordinatorFaultTest, ADeadGroupsSequencesMoveToTheOther) {
  AddWorkers(4, milliseconds(1));
  ASSERT_TRUE(Start(*MakeLayout(2, 1, 1, 2)).ok());
  SubmitAll(1, 100);
  AwaitTokens(1, 100);
  Worker(1).Kill();
  ExpectExact(1, 100);
  EXPECT_TRUE(AwaitLog("is fenced: rank 1 (" + Worker(1).address()));
  EXPECT_EQ(Describe().groups_size(), 1);
  EXPECT_EQ(State().phase(), "serving");
  Worker(1).Restart();
  ASSERT_TRUE(Await([&] { return Describe().groups_size() == 2; }));
  SubmitAll(101, 140);
  ExpectExact(101, 140);
}

TEST_F(CoordinatorFaultTest, TheOnlyGroupTakesASpare) {
  AddWorkers(3, milliseconds(1));
  ASSERT_TRUE(Start(*MakeLayout(2, 1, 1, 1)).ok());
  SubmitAll(1, 50);
  AwaitTokens(1, 50);
  Worker(0).Kill();
  ExpectExact(1, 50);
  EXPECT_GT(Worker(2).plans_run(), 0);
}

TEST_F(CoordinatorFaultTest, AStuckStepMovesItsSequences) {
  AddWorkers(2, milliseconds(1));
  options_.step_timeout = absl::Milliseconds(300);
  ASSERT_TRUE(Start(*MakeLayout(1, 1, 1, 2)).ok());
  SubmitAll(1, 60);
  AwaitTokens(1, 60);
  Worker(0).SetFault(Fault::kStepHangs, 1);
  ASSERT_TRUE(AwaitLog("is fenced: step"));
  Worker(0).SetFault(Fault::kNone);
  ExpectExact(1, 60);
  EXPECT_TRUE(AwaitLog("rank 0 (" + Worker(0).address() + ") is furthest behind"));
}

TEST_F(CoordinatorFaultTest, WithoutAGroupRequestsFailAfterADeadline) {
  AddWorkers(1, milliseconds(1));
  options_.unavailable_timeout = absl::Milliseconds(300);
  ASSERT_TRUE(Start(*MakeLayout(1, 1, 1, 1)).ok());
  SubmitAll(1, 40);
  AwaitTokens(1, 40);
  Worker(0).Kill();
  const absl::Time start = absl::Now();
  int failed = 0;
  for (uint64_t tag = 1; tag <= 40; ++tag) {
    ASSERT_TRUE(stream_->AwaitEnd(tag));
    const absl::Status status = stream_->Get(tag).status;
    if (status.ok()) continue;
    EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
    EXPECT_THAT(std::string(status.message()), HasSubstr("no group can serve"));
    ++failed;
  }
  EXPECT_GT(failed, 0);
  EXPECT_LT(absl::Now() - start, absl::Seconds(3));
  EXPECT_EQ(State().phase(), "unavailable");
  EXPECT_EQ(Submit(99, 1).status().code(), absl::StatusCode::kUnavailable);
  Worker(0).Restart();
  ASSERT_TRUE(Await([&] { return State().phase() == "serving"; }));
  SubmitAll(100, 110);
  ExpectExact(100, 110);
}

TEST_F(CoordinatorFaultTest, ARequestThatLosesTooManyGroupsFails) {
  AddWorkers(1, milliseconds(1));
  options_.max_moves = 1;
  ASSERT_TRUE(Start(*MakeLayout(1, 1, 1, 1)).ok());
  Worker(0).SetFault(Fault::kStepFails, 5);
  ASSERT_TRUE(Submit(1, 100).ok());
  ASSERT_TRUE(stream_->AwaitEnd(1));
  const Collected got = stream_->Get(1);
  EXPECT_EQ(got.status.code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(got.status.message()), HasSubstr("lost 2 groups"));
  EXPECT_THAT(std::string(got.status.message()), HasSubstr("device fault"));
}

TEST_F(CoordinatorFaultTest, ACancelledRequestIsNotMoved) {
  AddWorkers(2, milliseconds(1));
  options_.step_timeout = absl::Milliseconds(200);
  ASSERT_TRUE(Start(*MakeLayout(1, 1, 1, 1)).ok());
  const auto id = Submit(1, 1000);
  ASSERT_TRUE(stream_->AwaitCount(1, 5));
  Worker(0).Kill();
  coordinator_->Cancel(*id);
  ASSERT_TRUE(stream_->AwaitEnd(1));
  EXPECT_EQ(stream_->Get(1).last.finish_reason(), FINISH_REASON_CANCELLED);
  EXPECT_TRUE(Await([&] { return State().running() == 0; }));
}

TEST_F(CoordinatorFaultTest, RepartitionUnderLoadChangesNoAnswer) {
  AddWorkers(4, milliseconds(1));
  ASSERT_TRUE(Start(*MakeLayout(4, 1, 1, 1)).ok());
  uint64_t last = 0;
  const auto load = [&] {
    SubmitAll(last + 1, last + 80);
    AwaitTokens(last + 1, last + 80);
    last += 80;
  };
  load();
  std::vector<RepartitionProgress> progress;
  ASSERT_TRUE(RepartitionTo(2, 1, 2, &progress).ok());
  std::vector<std::string> stages;
  for (const auto& step : progress) stages.push_back(step.stage());
  EXPECT_THAT(stages,
              testing::ElementsAre("draining", "dissolving", "forming", "recomputing", "done"));
  EXPECT_GT(progress.back().live_sequences(), 0);
  EXPECT_GT(progress.back().form_seconds(), 0);
  EXPECT_GE(progress.back().total_seconds(),
            progress.back().form_seconds() + progress.back().dissolve_seconds());
  EXPECT_EQ(Describe().groups_size(), 2);
  load();
  ASSERT_TRUE(RepartitionTo(1, 2, 2).ok());
  load();
  EXPECT_EQ(Describe().layout().pp(), 2);
  ASSERT_TRUE(RepartitionTo(1, 4, 1).ok());
  EXPECT_EQ(Describe().max_inflight(), 4);
  ExpectExact(1, last);
  EXPECT_TRUE(Await([&] { return State().finished() == last; }));
}

TEST_F(CoordinatorFaultTest, AnImpossibleRepartitionKeepsTheLayout) {
  AddWorkers(2, milliseconds(1));
  ASSERT_TRUE(Start(*MakeLayout(2, 1, 1, 1)).ok());
  SubmitAll(1, 30);
  const uint64_t epoch = Describe().groups(0).epoch();
  EXPECT_EQ(RepartitionTo(3, 1, 1).code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(RepartitionTo(4, 1, 1).code(), absl::StatusCode::kInvalidArgument);
  RepartitionRequest shorter;
  *shorter.mutable_layout() = *MakeLayout(1, 1, 1, 1);
  shorter.mutable_limits()->set_max_seq_len(30);
  ASSERT_TRUE(Submit(31, 200).ok());
  ASSERT_TRUE(stream_->AwaitCount(31, 1));
  const absl::Status status = Repartition(shorter);
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr("over the new max_seq_len 30"));
  EXPECT_EQ(Describe().groups(0).epoch(), epoch);
  ExpectExact(1, 30);
}

// Such a prompt could never be computed again.
TEST_F(CoordinatorFaultTest, WithoutChunksALivePromptMustFitTheNewSteps) {
  AddWorkers(1, milliseconds(1));
  options_.former.limits.chunked_prefill = false;
  ASSERT_TRUE(Start(*MakeLayout(1, 1, 1, 1)).ok());
  ASSERT_EQ(PromptOf(36).size(), 40);
  ASSERT_TRUE(Submit(36, 500).ok());
  ASSERT_TRUE(stream_->AwaitCount(36, 1));
  RepartitionRequest request;
  *request.mutable_layout() = *MakeLayout(1, 1, 1, 1);
  request.mutable_limits()->set_max_batch_size(16);
  request.mutable_limits()->set_max_num_tokens(39);
  const absl::Status status = Repartition(request);
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("a live prompt of 40 tokens exceeds the new max_num_tokens 39"));
  request.mutable_limits()->set_max_num_tokens(40);
  const absl::Status fits = Repartition(request);
  EXPECT_TRUE(fits.ok()) << fits;
  ASSERT_TRUE(stream_->AwaitEnd(36, absl::Seconds(60)));
  EXPECT_EQ(stream_->Get(36).tokens, FakeContinuation(PromptOf(36), 500));
}

TEST_F(CoordinatorFaultTest, AFailedRepartitionFallsBack) {
  AddWorkers(2, milliseconds(1));
  ASSERT_TRUE(Start(*MakeLayout(2, 1, 1, 1)).ok());
  SubmitAll(1, 60);
  AwaitTokens(1, 60);
  Worker(1).SetFault(Fault::kFormFailsOnce);
  const absl::Status status = RepartitionTo(1, 2, 1);
  EXPECT_EQ(status.code(), absl::StatusCode::kInternal);
  EXPECT_THAT(std::string(status.message()), HasSubstr("forming pp2 failed"));
  EXPECT_THAT(std::string(status.message()), HasSubstr("serving as before with tp2"));
  ExpectExact(1, 60);
  EXPECT_EQ(Describe().layout().attention_tp(), 2);
}

// Two workers whose ranks hold 640 tokens each: tp 2 has room for a sequence that tp 1 has not.
class SmallerPoolTest : public CoordinatorFaultTest {
 protected:
  void Serve() {
    for (int i = 0; i < 2; ++i) {
      workers_.emplace_back(FakeWorkerOptions{
          .kv_blocks = 40, .kv_blocks_per_rank = true, .step_time = milliseconds(1)});
    }
    ASSERT_TRUE(Start(*MakeLayout(2, 1, 1, 1)).ok());
    SubmitAll(1, 30);
    ASSERT_TRUE(Submit(kLong, kLongOutput).ok());
    AwaitTokens(1, 30);
    ASSERT_TRUE(stream_->AwaitCount(kLong, 20));
  }
  void ExpectNothingStranded() {
    ExpectExact(1, 30);
    ASSERT_TRUE(stream_->AwaitEnd(kLong, absl::Seconds(60)));
    EXPECT_EQ(stream_->Get(kLong).tokens, FakeContinuation(PromptOf(kLong), kLongOutput));
    EXPECT_EQ(LayoutName(Describe().layout()), "tp2");
    SubmitAll(100, 110);
    ExpectExact(100, 110);
  }

  static constexpr uint64_t kLong = 99;
  static constexpr uint32_t kLongOutput = 900;
};

TEST_F(SmallerPoolTest, ThatCannotHoldALiveSequenceGivesWayToTheOldLayout) {
  Serve();
  const absl::Status status = RepartitionTo(1, 1, 2);
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(
      std::string(status.message()),
      HasSubstr(absl::StrCat("a live sequence may need ", PromptOf(kLong).size() + kLongOutput,
                             " tokens; the KV cache of the new layout holds 640")));
  EXPECT_THAT(std::string(status.message()), HasSubstr("serving as before with tp2"));
  ExpectNothingStranded();
}

TEST_F(SmallerPoolTest, TheOldLayoutIsRestoredAlsoWhenItsFirstFormingFails) {
  Serve();
  Worker(1).SetFault(Fault::kFormFailsOnce, 1);  // The new layout forms, the old one does not.
  const absl::Status status = RepartitionTo(1, 1, 2);
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(std::string(status.message()), HasSubstr("trying to restore tp2"));
  ExpectNothingStranded();
}

TEST_F(SmallerPoolTest, IsTakenOnceTheLongSequenceHasEnded) {
  Serve();
  ExpectNothingStranded();
  ASSERT_TRUE(Await([&] { return State().finished() == 42; }));
  const absl::Status status = RepartitionTo(1, 1, 2);
  EXPECT_TRUE(status.ok()) << status;
  EXPECT_EQ(Submit(200, kLongOutput).status().code(), absl::StatusCode::kInvalidArgument);
  SubmitAll(201, 210);
  ExpectExact(201, 210);
}

TEST_F(CoordinatorFaultTest, OneRepartitionAtATime) {
  AddWorkers(2, milliseconds(1));
  ASSERT_TRUE(Start(*MakeLayout(2, 1, 1, 1)).ok());
  absl::Notification first;
  RepartitionRequest request;
  *request.mutable_layout() = *MakeLayout(1, 2, 1, 1);
  coordinator_->Repartition(
      request, [](const RepartitionProgress&) {},
      [&](absl::Status status) {
        EXPECT_TRUE(status.ok()) << status;
        first.Notify();
      });
  EXPECT_EQ(RepartitionTo(1, 1, 2).code(), absl::StatusCode::kFailedPrecondition);
  first.WaitForNotification();
  EXPECT_TRUE(RepartitionTo(1, 1, 2).ok());
}

}  // namespace
}  // namespace regatta
