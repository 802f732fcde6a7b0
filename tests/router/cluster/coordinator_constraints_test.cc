// Requests with a constraint through the coordinator: compiled before they are placed, at nobody
// else's cost, and gone when their client or their deadline says so.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/router/cluster/coordinator_fixture.h"
#include "tests/testing/fake_compiler.h"

namespace regatta {
namespace {

using std::chrono::milliseconds;
using testing::HasSubstr;

class CoordinatorConstraintsTest : public CoordinatorFixture {
 protected:
  CoordinatorConstraintsTest() {
    spec_.vocab_size = sim::kMaskedVocab;
    options_.constraints = &compiler_;
  }
  ~CoordinatorConstraintsTest() override { coordinator_.reset(); }  // before the compiler

  static std::vector<uint32_t> Prompt(uint64_t tag) {
    std::vector<uint32_t> prompt = PromptOf(tag);
    for (uint32_t& token : prompt) token %= sim::kMaskedVocab;
    return prompt;
  }
  // With a constraint when `schema` is not empty.
  static GenerateRequest Request(uint64_t tag, const std::string& schema) {
    GenerateRequest request = RequestOf(tag, LengthOf(tag));
    const std::vector<uint32_t> prompt = Prompt(tag);
    request.mutable_token_ids()->mutable_ids()->Assign(prompt.begin(), prompt.end());
    if (!schema.empty()) request.mutable_constraint()->set_json_schema(schema);
    return request;
  }
  absl::StatusOr<uint64_t> Submit(uint64_t tag, const std::string& schema) {
    return coordinator_->Submit(Request(tag, schema), tag, stream_);
  }
  void ExpectConstrained(uint64_t tag, uint64_t seed) {
    ASSERT_TRUE(stream_->AwaitEnd(tag, absl::Seconds(60))) << tag;
    EXPECT_TRUE(stream_->Get(tag).status.ok()) << tag << ": " << stream_->Get(tag).status;
    EXPECT_EQ(stream_->Get(tag).tokens, FakeContinuation(Prompt(tag), LengthOf(tag), seed)) << tag;
  }

  FakeCompiler compiler_;
};

TEST_F(CoordinatorConstraintsTest, ConstrainedRequestsAreServedBesideOthersOnEveryLayout) {
  AddWorkers(4, milliseconds(0));
  ASSERT_TRUE(Start(*MakeLayout(2, 1, 1, 2)).ok());
  for (uint64_t tag = 1; tag <= 60; ++tag) {
    ASSERT_TRUE(Submit(tag, tag % 3 == 0 ? "" : absl::StrCat(tag)).ok());
  }
  ASSERT_TRUE(RepartitionTo(1, 4, 1).ok());  // Constraints move with their tokens.
  for (uint64_t tag = 1; tag <= 60; ++tag) {
    if (tag % 3 != 0) {
      ExpectConstrained(tag, tag);
      continue;
    }
    ASSERT_TRUE(stream_->AwaitEnd(tag, absl::Seconds(60))) << tag;
    EXPECT_EQ(stream_->Get(tag).tokens, FakeContinuation(Prompt(tag), LengthOf(tag)));
  }
  const RouterMetrics& metrics = coordinator_->metrics();
  EXPECT_EQ(metrics.grammar_compile().count(), 40u);
  const GroupTotals totals = metrics.Take().totals;
  EXPECT_GT(totals.Get(GroupHistogram::kMaskCompute).count(), 0u);
  EXPECT_LE(totals.Get(GroupHistogram::kMaskCompute).count(), totals.Get(GroupCounter::kSteps));
}

TEST_F(CoordinatorConstraintsTest, ConstraintsMoveToAnotherGroupWithTheirTokens) {
  AddWorkers(2, milliseconds(2));
  ASSERT_TRUE(Start(*MakeLayout(1, 1, 1, 2)).ok());
  for (uint64_t tag = 1; tag <= 24; ++tag) ASSERT_TRUE(Submit(tag, absl::StrCat(tag)).ok());
  ASSERT_TRUE(stream_->AwaitCount(1, 4));
  Worker(0).Kill();
  for (uint64_t tag = 1; tag <= 24; ++tag) ExpectConstrained(tag, tag);
  EXPECT_EQ(stream_->calls_after_end(), 0);
}

TEST_F(CoordinatorConstraintsTest, OthersPassWhatIsBeingCompiled) {
  AddWorkers(1, milliseconds(0));
  ASSERT_TRUE(Start(*MakeLayout(1, 1, 1, 1)).ok());
  compiler_.Hold();
  ASSERT_TRUE(Submit(1, "17").ok());
  ASSERT_TRUE(Submit(2, "").ok());
  ASSERT_TRUE(stream_->AwaitEnd(2));
  EXPECT_EQ(State().waiting(), 1u);
  EXPECT_FALSE(stream_->Get(1).ended);
  compiler_.LetGo();
  ExpectConstrained(1, 17);
}

TEST_F(CoordinatorConstraintsTest, CancelsAndDeadlinesCountWhileCompiling) {
  AddWorkers(1, milliseconds(0));
  ASSERT_TRUE(Start(*MakeLayout(1, 1, 1, 1)).ok());
  compiler_.Hold();
  const auto cancelled = Submit(1, "1");
  ASSERT_TRUE(cancelled.ok());
  GenerateRequest late = Request(2, "2");
  late.set_queue_timeout_ms(20);
  ASSERT_TRUE(coordinator_->Submit(late, 2, stream_).ok());
  ASSERT_TRUE(Submit(3, "3").ok());
  coordinator_->Cancel(*cancelled);
  ASSERT_TRUE(stream_->AwaitEnd(1));
  EXPECT_EQ(stream_->Get(1).last.finish_reason(), FINISH_REASON_CANCELLED);
  ASSERT_TRUE(stream_->AwaitEnd(2));
  EXPECT_EQ(stream_->Get(2).status.code(), absl::StatusCode::kDeadlineExceeded);
  absl::Notification drained;
  DrainResponse response;
  coordinator_->Drain(absl::Milliseconds(50), [&](const DrainResponse& answer) {
    response = answer;
    drained.Notify();
  });
  drained.WaitForNotification();
  EXPECT_EQ(response.cancelled(), 1u);
  EXPECT_EQ(stream_->Get(3).last.finish_reason(), FINISH_REASON_CANCELLED);
  compiler_.LetGo();
  coordinator_.reset();
  EXPECT_EQ(stream_->calls_after_end(), 0);
}

TEST_F(CoordinatorConstraintsTest, WhatDoesNotCompileFailsAlone) {
  AddWorkers(1, milliseconds(0));
  ASSERT_TRUE(Start(*MakeLayout(1, 1, 1, 1)).ok());
  ASSERT_TRUE(Submit(1, "no number").ok());
  ASSERT_TRUE(stream_->AwaitEnd(1));
  EXPECT_EQ(stream_->Get(1).status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(stream_->Get(1).status.message(), HasSubstr("'no number' is no number"));
  EXPECT_EQ(coordinator_->metrics().refused(absl::StatusCode::kInvalidArgument), 1u);
  EXPECT_EQ(coordinator_->metrics().ends().Get(FINISH_REASON_ERROR), 0u);
  ASSERT_TRUE(Submit(2, "5").ok());
  ExpectConstrained(2, 5);
}

TEST_F(CoordinatorConstraintsTest, WithoutACompilerTheyAreRefused) {
  options_.constraints = nullptr;
  AddWorkers(1, milliseconds(0));
  ASSERT_TRUE(Start(*MakeLayout(1, 1, 1, 1)).ok());
  const auto refused = Submit(1, "1");
  EXPECT_EQ(refused.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(refused.status().message(), "constraint: constraints are not served");
}

}  // namespace
}  // namespace regatta
