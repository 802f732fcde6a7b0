// Single rules of the scheduler, one test each. Their interplay is simulated in tests/sim.
#include "router/scheduler/scheduler.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include "tests/router/scheduler/scheduler_harness.h"

namespace regatta {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::UnorderedElementsAre;

uint32_t Tokens(const StepPlan& plan) {
  return std::accumulate(plan.count().begin(), plan.count().end(), 0u);
}

TEST(SchedulerTest, ArticleExampleOneContextWithFourGenerating) {
  SchedulerOptions options = Options();
  options.limits.set_max_batch_size(5);
  options.limits.set_max_num_tokens(512);
  Harness harness(options);
  for (uint64_t id = 1; id <= 4; ++id) harness.Add(Spec(id, 20, 100));
  harness.Step();
  harness.Add(Spec(5, 128, 100)).Add(Spec(6, 128, 100));
  const StepPlan plan = harness.Plan();
  EXPECT_THAT(plan.count(), ElementsAre(1, 1, 1, 1, 128));
  EXPECT_EQ(Tokens(plan), 132u);            // of 512,
  EXPECT_EQ(harness->state().waiting, 1u);  // capped by the batch of five
}

TEST(SchedulerTest, TokenLimitBoundsAStepAndChunksEndOnBlocks) {
  SchedulerOptions options = Options();
  options.limits.set_max_num_tokens(22);
  Harness harness(options);
  harness.Add(Spec(1, 3, 100)).Add(Spec(2, 50, 100));
  EXPECT_THAT(harness.Step().count(), ElementsAre(3, 16));
  StepPlan plan = harness.Step();
  EXPECT_THAT(plan.count(), ElementsAre(1, 20));
  EXPECT_THAT(plan.start(), ElementsAre(3, 16));
  EXPECT_THAT(plan.flags(), ElementsAre(STEP_FLAG_SAMPLE, STEP_FLAG_INLINE_TOKENS));
  EXPECT_EQ(plan.tokens_size(), 20);
  EXPECT_EQ(plan.tokens(0), 2016u);
  plan = harness.Step();
  EXPECT_THAT(plan.count(), ElementsAre(1, 14));
  EXPECT_THAT(plan.flags(),
              ElementsAre(STEP_FLAG_SAMPLE, STEP_FLAG_SAMPLE | STEP_FLAG_INLINE_TOKENS));
}

TEST(SchedulerTest, LessThanABlockOfBudgetStillMakesProgress) {
  SchedulerOptions options = Options();
  options.limits.set_max_num_tokens(3);
  Harness harness(options);
  harness.Add(Spec(1, 1, 100)).Add(Spec(2, 6, 100));
  EXPECT_THAT(harness.Step().count(), ElementsAre(1));
  EXPECT_THAT(harness.Step().count(), ElementsAre(1, 2));
  EXPECT_THAT(harness.Step().count(), ElementsAre(1, 2));
  EXPECT_THAT(harness.Step().count(), ElementsAre(1, 2));
  EXPECT_THAT(harness.Step().count(), ElementsAre(1, 1));
}

TEST(SchedulerTest, WithoutChunkingAPromptWaitsForItsWholeBudget) {
  SchedulerOptions options = Options();
  options.chunked_prefill = false;
  Harness harness(options);
  harness.Add(Spec(1, 40, 3)).Add(Spec(2, 40, 3));
  EXPECT_THAT(harness.Step().count(), ElementsAre(40));
  EXPECT_THAT(harness.Step().count(), ElementsAre(1, 40));
}

TEST(SchedulerTest, HigherPriorityFirstThenArrival) {
  SchedulerOptions options = Options();
  options.limits.set_max_batch_size(1);
  Harness harness(options);
  const int32_t priorities[] = {0, 0, 5, -1, 5};
  for (uint64_t id = 1; id <= 5; ++id) {
    SequenceSpec spec = Spec(id, 4, 1);
    spec.priority = priorities[id - 1];
    harness.Add(spec);
  }
  std::vector<uint64_t> order;
  while (harness->HasWork()) {
    harness.Plan();
    EXPECT_EQ(harness->started().size(), 1u);
    order.push_back(harness->started()[0]);
    harness.Commit();
  }
  EXPECT_THAT(order, ElementsAre(3, 5, 1, 2, 4));
}

TEST(SchedulerTest, NextPlanLeavesBeforeTheResultAndASurplusTokenIsDropped) {
  Harness harness;
  SequenceSpec spec = Spec(1, 4, 100);
  spec.stop_token_ids = {99};
  harness.Add(spec);
  harness.Plan();
  const StepPlan second = harness.Plan();
  EXPECT_THAT(second.start(), ElementsAre(4));
  EXPECT_THAT(second.flags(), ElementsAre(STEP_FLAG_SAMPLE));
  EXPECT_TRUE(harness.Idle()) << "max_inflight plans are out";
  const std::vector<SequenceEvent> events = harness.Commit(99);
  ASSERT_EQ(events.size(), 1u);
  EXPECT_EQ(events[0].finish, FINISH_REASON_STOP);
  EXPECT_THAT(events[0].tokens, ElementsAre(99));
  EXPECT_FALSE(harness->HasWork());
  EXPECT_THAT(harness.Commit(), IsEmpty());
}

TEST(SchedulerTest, LengthIsNeverPassedAndTheSlotComesBackWithTheLastTokenInFlight) {
  SchedulerOptions options = Options();
  options.limits.set_max_batch_size(1);
  options.max_inflight = 3;
  Harness harness(options);
  harness.Add(Spec(1, 4, 2)).Add(Spec(2, 4, 1));
  harness.Plan();
  harness.Plan();
  const StepPlan third = harness.Plan();  // nothing of sequence 1 is known yet
  EXPECT_THAT(third.released_slots(), ElementsAre(0));
  ASSERT_EQ(third.admissions_size(), 1);
  EXPECT_EQ(third.admissions(0).slot(), 0u);
  EXPECT_EQ(harness.Commit()[0].finish, FINISH_REASON_NONE);
  const SequenceEvent last = std::move(harness.Commit()[0]);
  EXPECT_EQ(last.id, 1u);
  EXPECT_EQ(last.finish, FINISH_REASON_LENGTH);
  EXPECT_EQ(last.num_outputs, 2u);
  EXPECT_EQ(harness.Commit()[0].id, 2u);
  EXPECT_EQ(harness->state().used_blocks, 0u);
}

TEST(SchedulerTest, MissingMaxTokensEndsAtTheContextLength) {
  SchedulerOptions options = Options();
  options.limits.set_max_seq_len(7);
  Harness harness(options);
  harness.Add(Spec(1, 4, 0));
  harness.Step();
  harness.Step();
  harness.Plan();
  const SequenceEvent last = std::move(harness.Commit()[0]);
  EXPECT_EQ(last.finish, FINISH_REASON_LENGTH);
  EXPECT_EQ(last.num_outputs, 3u);
}

TEST(SchedulerTest, StopIdsCountOnlyPastMinTokens) {
  Harness harness;
  SequenceSpec spec = Spec(1, 4, 100);
  spec.stop_token_ids = {99};
  spec.sampling.set_min_tokens(2);
  harness.Add(spec);
  for (const FinishReason finish : {FINISH_REASON_NONE, FINISH_REASON_NONE, FINISH_REASON_STOP}) {
    harness.Plan();
    EXPECT_EQ(harness.Commit(99)[0].finish, finish);
  }
}

TEST(SchedulerTest, CancelFreesBlocksForTheNextPlan) {
  Harness harness;
  harness.Add(Spec(1, 40, 100)).Add(Spec(2, 4, 100));
  harness.Plan();
  EXPECT_EQ(harness->state().used_blocks, 11u);
  EXPECT_TRUE(harness->Cancel(1));
  EXPECT_FALSE(harness->Cancel(1));
  EXPECT_EQ(harness->state().used_blocks, 1u);
  EXPECT_THAT(harness.Plan().released_slots(), ElementsAre(0));
  const std::vector<SequenceEvent> events = harness.Commit();
  ASSERT_EQ(events.size(), 1u);
  EXPECT_EQ(events[0].id, 2u);
}

TEST(SchedulerTest, AnIdMayComeBackWhileItsOldPlansAreInFlight) {
  Harness harness;
  harness.Add(Spec(1, 4, 100));
  harness.Plan();
  harness->Cancel(1);
  harness.Add(Spec(1, 8, 100));
  harness.Plan();
  EXPECT_THAT(harness.Commit(), IsEmpty());
  const std::vector<SequenceEvent> events = harness.Commit();
  ASSERT_EQ(events.size(), 1u);
  EXPECT_EQ(events[0].num_outputs, 1u);
}

TEST(SchedulerTest, ASequenceRunsUntilItsLastTokenHasCome) {
  Harness harness;
  harness.Add(Spec(1, 8, 2));
  harness.Plan();
  harness.Plan();
  harness.Commit();
  EXPECT_TRUE(harness.Idle()) << "its last token is in flight";
  EXPECT_EQ(harness->state().running, 1u);
  harness.Commit();
  EXPECT_EQ(harness->state().running, 0u);
}

// Two sequences outgrow the pool; the later one goes, and comes back first once there is room.
TEST(SchedulerTest, PreemptsTheLastAndResumesItOnceNoPlanHoldsIt) {
  SchedulerOptions options = Options();
  options.num_blocks = 8;
  options.prefix_cache = false;
  options.expected_output_tokens = 1;  // admits too many
  Harness harness(options);
  harness.Add(Spec(1, 12, 0)).Add(Spec(2, 12, 0)).Add(Spec(3, 12, 0));
  harness.Step();
  EXPECT_EQ(harness->state().running, 2u);
  while (harness->state().preemptions == 0) {
    harness.Plan();
    if (harness->state().inflight == 2 && harness->state().preemptions == 0) harness.Commit();
  }
  EXPECT_EQ(harness->state().running, 1u);
  EXPECT_EQ(harness->state().waiting, 2u);
  EXPECT_TRUE(harness.Idle());
  EXPECT_EQ(harness.Commit().size(), 2u) << "the token in flight of the preempted one counts";
  harness.Commit();
  harness->Cancel(1);
  const StepPlan plan = harness.Plan();
  ASSERT_GE(plan.admissions_size(), 1);
  const uint32_t outputs = plan.admissions(0).output_length();
  EXPECT_GT(outputs, 0u) << "sequence 2, before sequence 3";
  EXPECT_EQ(plan.count(0), 12 + outputs);
  EXPECT_EQ(plan.tokens(0), 2000u);
  const SequenceEvent event = std::move(harness.Commit()[0]);
  EXPECT_EQ(event.num_outputs, outputs + 1);
  EXPECT_EQ(event.preemptions, 1u);
}

TEST(SchedulerTest, PromptBlocksAreFoundByTheNextPlanNotByTheSame) {
  Harness harness;
  SequenceSpec twin = Spec(1, 16, 10), third = Spec(1, 16, 10);
  twin.id = 2;
  third.id = 3;
  harness.Add(Spec(1, 16, 10)).Add(twin);
  EXPECT_THAT(harness.Plan().count(), ElementsAre(16, 16));
  harness.Add(third);
  const StepPlan plan = harness.Plan();
  // All but one token could be found; that is three blocks of four.
  EXPECT_THAT(plan.start(), ElementsAre(16, 16, 12));
  EXPECT_THAT(plan.new_block_count(), ElementsAre(1, 1, 4));
  harness.Commit();
  EXPECT_EQ(harness.Commit()[2].cached_tokens, 12u);
  EXPECT_EQ(harness->state().cached_tokens, 12u);
}

TEST(SchedulerTest, GeneratedBlocksAreFoundOnceCommittedAndOutliveTheirSequence) {
  Harness harness;
  harness.Add(Spec(1, 4, 6));
  while (harness->HasWork()) harness.Step();
  SequenceSpec next = Spec(1, 4, 10);  // A conversation goes on: prompt, answer, new question.
  next.id = 2;
  next.tokens.insert(next.tokens.end(), 6, kToken);
  next.tokens.push_back(1);
  next.prompt_length = 11;
  harness.Add(next);
  EXPECT_THAT(harness.Plan().start(), ElementsAre(8));
}

TEST(SchedulerTest, RequestsMayDeclineThePrefixCache) {
  Harness harness;
  SequenceSpec secret = Spec(1, 16, 1);
  secret.prefix_cache = false;
  harness.Add(secret);
  harness.Step();
  EXPECT_EQ(harness->state().cached_blocks, 0u);
  harness.Add(Spec(1, 16, 1));
  EXPECT_THAT(harness.Step().start(), ElementsAre(0));
  harness.Add(secret);
  EXPECT_THAT(harness.Step().start(), ElementsAre(0));
}

TEST(SchedulerTest, PenaltyRowsAreScarceAndOthersMayPass) {
  SchedulerOptions options = Options();
  options.sampling_rows = 1;
  Harness harness(options);
  for (const uint64_t id : {1, 2, 3}) {
    SequenceSpec spec = Spec(id, 4, 2);
    if (id != 3) spec.sampling.set_presence_penalty(1);
    harness.Add(spec);
  }
  const StepPlan plan = harness.Plan();
  EXPECT_THAT(harness->started(), ElementsAre(1, 3));
  EXPECT_THAT(plan.admissions(0).penalty_tokens(), ElementsAre(1000, 1001, 1002, 1003));
  EXPECT_EQ(plan.admissions(1).penalty_tokens_size(), 0);
  harness.Plan();
  harness.Commit();
  harness.Plan();
  EXPECT_THAT(harness->started(), ElementsAre(2));
}

TEST(SchedulerTest, BiasesAndConstraintsTakeSamplingRowsToo) {
  SchedulerOptions options = Options();
  options.sampling_rows = 1;
  Harness harness(options);
  SequenceSpec biased = Spec(1, 4, 2), constrained = Spec(2, 4, 2);
  biased.sampling.add_bias_token(5);
  biased.sampling.add_bias(1);
  constrained.constrained = true;
  harness.Add(biased).Add(constrained).Add(Spec(3, 4, 2));
  const StepPlan plan = harness.Plan();
  EXPECT_THAT(harness->started(), ElementsAre(1, 3));
  EXPECT_THAT(plan.admissions(0).sampling().bias_token(), ElementsAre(5));
  EXPECT_EQ(plan.admissions(0).penalty_tokens_size(), 0);
  harness.Plan();
  harness.Commit();
  harness.Plan();
  EXPECT_THAT(harness->started(), ElementsAre(2));
}

// Only the entry that draws, and the next plan leaves before its token is known.
TEST(SchedulerTest, DrawsOfAConstrainedSequenceAwaitMasks) {
  SchedulerOptions options = Options();
  options.sampling_rows = 2;
  options.limits.set_max_num_tokens(8);
  Harness harness(options);
  SequenceSpec spec = Spec(1, 10, 3);
  spec.constrained = true;
  harness.Add(spec).Add(Spec(2, 1, 3));
  EXPECT_THAT(harness.Step().flags(), ElementsAre(STEP_FLAG_INLINE_TOKENS));
  EXPECT_THAT(harness->awaiting(), IsEmpty());
  EXPECT_THAT(harness.Plan().flags(),
              ElementsAre(STEP_FLAG_INLINE_TOKENS | STEP_FLAG_SAMPLE | STEP_FLAG_AWAITS_MASK,
                          STEP_FLAG_INLINE_TOKENS | STEP_FLAG_SAMPLE));
  EXPECT_THAT(harness->awaiting(), ElementsAre(1));
  EXPECT_THAT(harness.Plan().flags(),
              ElementsAre(STEP_FLAG_SAMPLE | STEP_FLAG_AWAITS_MASK, STEP_FLAG_SAMPLE));
  EXPECT_THAT(harness->awaiting(), ElementsAre(1));
}

// Sixty-four sequences whose masks cost a tenth of what a step may spend, beside one with cheap
// masks and one without: the latter two are in every step, the others in turn.
TEST(SchedulerTest, CostlyMasksTakeTurnsAndHoldNobodyElseUp) {
  constexpr uint64_t kCostly = 64;
  SchedulerOptions options = Options();
  options.limits.set_max_batch_size(80);
  options.limits.set_max_num_tokens(1000);
  options.limits.set_max_seq_len(2000);
  options.num_blocks = 10'000;
  options.sampling_rows = 80;
  options.max_inflight = 1;
  Harness harness(options);
  for (uint64_t id = 1; id <= kCostly + 1; ++id) {
    SequenceSpec spec = Spec(id, 4, 1000);
    spec.constrained = true;
    harness.Add(std::move(spec));
  }
  harness.Add(Spec(kCostly + 2, 4, 1000));
  std::map<uint64_t, int> drawn;
  for (int step = 0; step < 200; ++step) {
    harness.Plan();
    const std::vector<uint64_t> awaiting = harness->awaiting();
    for (const SequenceEvent& event : harness.Commit()) ++drawn[event.id];
    for (const uint64_t id : awaiting) {
      harness->NoteMaskWork(id, id <= kCostly ? options.mask_work / 10 : 2000);
    }
    if (step > 0) {
      EXPECT_LE(awaiting.size(), 10u);
    }
  }
  EXPECT_EQ(drawn[kCostly + 2], 200);
  EXPECT_GE(drawn[kCostly + 1], 197) << "its first cost is not known";
  for (uint64_t id = 1; id <= kCostly; ++id) EXPECT_NEAR(drawn[id], 200 * 9 / 64, 4) << id;
}

// The prompt of ten goes in chunks of eight and two; each but the last brings the token behind it.
TEST(SchedulerTest, PromptLogprobsComeOnceWithTheFirstToken) {
  SchedulerOptions options = Options();
  options.limits.set_max_num_tokens(9);
  Scheduler scheduler(options);
  SequenceSpec spec = Spec(1, 10, 3);
  spec.prompt_logprobs = true;
  ASSERT_TRUE(scheduler.Add(spec).ok());
  std::vector<SequenceEvent> events;
  const auto commit = [&](const StepPlan& plan, int scored) {
    StepResult result;
    result.set_step_id(plan.step_id());
    if (plan.flags(0) & STEP_FLAG_SAMPLE) {
      result.add_slot(plan.slot(0));
      result.add_token(kToken);
    }
    if (scored >= 0) result.add_logprobs();
    for (int i = 0; i < scored; ++i) result.mutable_logprobs(0)->add_prompt(plan.start(0) + i);
    return scheduler.Commit(result, events);
  };
  const auto first = scheduler.NextStep();
  EXPECT_THAT(first->flags(), ElementsAre(STEP_FLAG_INLINE_TOKENS | STEP_FLAG_LOGITS_ALL));
  EXPECT_THAT(first->count(), ElementsAre(8));
  EXPECT_EQ(first->tokens_size(), 9);
  EXPECT_EQ(first->tokens(8), 1008u);
  EXPECT_THAT(std::string(commit(*first, 7).message()), HasSubstr("7 prompt tokens"));
  ASSERT_TRUE(commit(*first, 8).ok());
  EXPECT_THAT(events, IsEmpty());
  const auto second = scheduler.NextStep();
  EXPECT_THAT(second->flags(),
              ElementsAre(STEP_FLAG_INLINE_TOKENS | STEP_FLAG_LOGITS_ALL | STEP_FLAG_SAMPLE));
  EXPECT_EQ(second->tokens_size(), 2);
  ASSERT_TRUE(commit(*second, 1).ok());
  ASSERT_EQ(events.size(), 1u);
  ASSERT_NE(events[0].prompt_logprobs, nullptr);
  EXPECT_THAT(events[0].prompt_logprobs->prompt(), ElementsAre(0, 1, 2, 3, 4, 5, 6, 7, 8));
  EXPECT_THAT(events[0].logprobs, IsEmpty());
  const auto third = scheduler.NextStep();
  EXPECT_THAT(third->flags(), ElementsAre(STEP_FLAG_SAMPLE));
  ASSERT_TRUE(commit(*third, -1).ok());
  EXPECT_EQ(events[1].prompt_logprobs, nullptr);
  // Elsewhere it goes on without them, and nothing of it was published.
  EXPECT_EQ(scheduler.state().cached_blocks, 0u);
  Scheduler other(options);
  ASSERT_TRUE(other.Add(std::move(scheduler.TakeAll()[0])).ok());
  EXPECT_THAT(other.NextStep()->flags(), ElementsAre(STEP_FLAG_INLINE_TOKENS));
}

TEST(SchedulerTest, PipelineCohortsAreEvenAndDisjoint) {
  SchedulerOptions options = Options();
  options.stages = 3;
  options.max_inflight = 4;
  Harness harness(options);
  for (uint64_t id = 1; id <= 7; ++id) harness.Add(Spec(id, 4, 100));
  harness.Step();
  const StepPlan a = harness.Plan(), b = harness.Plan(), c = harness.Plan();
  EXPECT_THAT(a.slot(), ElementsAre(0, 1, 2));
  EXPECT_THAT(b.slot(), ElementsAre(3, 4, 5));
  EXPECT_THAT(c.slot(), ElementsAre(6));
  EXPECT_TRUE(harness.Idle()) << "everybody awaits a token";
  harness.Commit();
  EXPECT_THAT(harness.Plan().slot(), UnorderedElementsAre(0, 1, 2));
}

TEST(SchedulerTest, ChunksOfAPromptFollowOneAnotherThroughAPipeline) {
  SchedulerOptions options = Options();
  options.stages = 2;
  Harness harness(options);
  harness.Add(Spec(1, 100, 10));
  EXPECT_THAT(harness.Plan().count(), ElementsAre(64));
  EXPECT_THAT(harness.Plan().count(), ElementsAre(36));
  harness.Commit();
  EXPECT_TRUE(harness.Idle());
  harness.Commit();
  EXPECT_THAT(harness.Plan().count(), ElementsAre(1));
}

TEST(SchedulerTest, TakeAllHandsBackTokensInOrderOfArrival) {
  SchedulerOptions options = Options();
  options.limits.set_max_batch_size(2);
  Harness harness(options);
  for (const uint64_t id : {9, 5, 7}) harness.Add(Spec(id, 4, 10));
  harness.Step();
  harness.Plan();
  const std::vector<SequenceSpec> specs = harness->TakeAll();
  ASSERT_EQ(specs.size(), 3u);
  EXPECT_EQ(specs[0].id, 9u);
  EXPECT_THAT(specs[0].tokens, ElementsAre(9000, 9001, 9002, 9003, kToken));
  EXPECT_EQ(specs[1].id, 5u);
  EXPECT_THAT(specs[2].tokens, ElementsAre(7000, 7001, 7002, 7003));
  EXPECT_FALSE(harness->HasWork());
  EXPECT_EQ(harness->state().used_blocks, 0u);

  Harness other;
  other.Add(specs[0]);
  const StepPlan plan = other.Plan();
  EXPECT_EQ(plan.admissions(0).prompt_length(), 4u);
  EXPECT_EQ(plan.admissions(0).output_length(), 1u);
  EXPECT_THAT(plan.count(), ElementsAre(5));
  EXPECT_EQ(other.Commit()[0].num_outputs, 2u);
}

TEST(SchedulerTest, LogprobsFollowTheirTokens) {
  Harness harness;
  SequenceSpec asked = Spec(2, 4, 2);
  asked.sampling.set_logprobs(true);
  harness.Add(Spec(1, 4, 2)).Add(asked);
  const StepPlan plan = harness.Plan();
  StepResult result;
  result.set_step_id(1);
  for (const uint32_t slot : plan.slot()) {
    result.add_slot(slot);
    result.add_token(slot);
  }
  std::vector<SequenceEvent> events;
  EXPECT_EQ(harness->Commit(result, events).code(), absl::StatusCode::kInternal);
  result.add_logprobs()->set_sampled(-0.5f);
  ASSERT_TRUE(harness->Commit(result, events).ok());
  EXPECT_THAT(events[0].logprobs, IsEmpty());
  ASSERT_EQ(events[1].logprobs.size(), 1u);
  EXPECT_EQ(events[1].logprobs[0].sampled(), -0.5f);
}

TEST(SchedulerTest, SequencesThatCanNeverRunAreRefused) {
  SchedulerOptions options = Options();
  options.num_blocks = 20;
  options.chunked_prefill = false;
  Harness harness(options);
  harness.Add(Spec(1, 4, 4));
  SequenceSpec done = Spec(2, 4, 2);
  done.tokens.insert(done.tokens.end(), 2, kToken);
  SequenceSpec truncated = Spec(2, 4, 2);
  truncated.tokens.pop_back();
  SequenceSpec penalized = Spec(2, 4, 2);
  penalized.sampling.set_repetition_penalty(1.5);
  SequenceSpec biased = Spec(2, 4, 2), constrained = Spec(2, 4, 2);
  biased.sampling.add_bias_token(1);
  biased.sampling.add_bias(1);
  constrained.constrained = true;
  const std::vector<std::pair<SequenceSpec, std::string>> cases = {
      {Spec(1, 4, 4), "sequence 1 is already live"},
      {Spec(2, 0, 4), "prompt is empty"},
      {truncated, "prompt_length 4 exceeds the 3 tokens"},
      {Spec(2, 256, 4), "max_seq_len of 256"},
      {done, "all 2 output tokens"},
      {Spec(2, 60, 30), "needs 23 KV blocks of 4 tokens; there are 20"},
      {Spec(2, 65, 4), "max_num_tokens of 64"},
      {penalized, "sampling_rows is 0"},
      {biased, "sampling_rows is 0"},
      {constrained, "sampling_rows is 0"},
  };
  for (const auto& [spec, message] : cases) {
    const absl::Status status = harness->Add(spec);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(status.message()), HasSubstr(message));
  }
  EXPECT_EQ(harness->state().waiting, 1u);
}

TEST(SchedulerTest, ResultsThatDoNotMatchTheirPlanAreRefusedAndChangeNothing) {
  Harness harness;
  std::vector<SequenceEvent> events;
  StepResult result;
  result.set_step_id(1);
  EXPECT_EQ(harness->Commit(result, events).code(), absl::StatusCode::kInternal);
  SequenceSpec spec = Spec(1, 4, 4);
  spec.sampling.set_logprobs(true);
  harness.Add(std::move(spec));
  harness.Plan();
  const std::vector<std::function<void(StepResult&)>> faults = {
      [](StepResult& r) { r.set_step_id(2); },
      [](StepResult& r) { r.clear_token(); },
      [](StepResult& r) { r.add_slot(1); },
      [](StepResult& r) { r.set_slot(0, 5); },
      [](StepResult& r) { r.add_logprobs(); },
      [](StepResult& r) { r.mutable_logprobs(0)->add_top_token(1); },
  };
  result.add_slot(0);
  result.add_token(kToken);
  result.add_logprobs();
  for (const auto& fault : faults) {
    StepResult wrong = result;
    fault(wrong);
    EXPECT_EQ(harness->Commit(wrong, events).code(), absl::StatusCode::kInternal);
  }
  EXPECT_THAT(events, IsEmpty());
  EXPECT_TRUE(harness->Commit(result, events).ok());
}

TEST(SchedulerTest, OptionsAreValidated) {
  EXPECT_TRUE(ValidateOptions(Options()).ok());
  const std::vector<std::pair<std::function<void(SchedulerOptions&)>, std::string>> cases = {
      {[](SchedulerOptions& o) { o.limits.set_max_batch_size(0); }, "max_batch_size is 0"},
      {[](SchedulerOptions& o) { o.limits.set_max_num_tokens(0); }, "max_num_tokens is 0"},
      {[](SchedulerOptions& o) { o.limits.set_max_seq_len(-1); }, "max_seq_len is 4294967295"},
      {[](SchedulerOptions& o) { o.block_size = 0; }, "block_size is 0"},
      {[](SchedulerOptions& o) { o.num_blocks = 0; }, "num_blocks is 0"},
      {[](SchedulerOptions& o) { o.stages = 0; }, "stages is 0"},
      {[](SchedulerOptions& o) { o.max_inflight = 0; }, "max_inflight is 0"},
  };
  for (const auto& [spoil, message] : cases) {
    SchedulerOptions options = Options();
    spoil(options);
    EXPECT_THAT(std::string(ValidateOptions(options).message()), HasSubstr(message));
  }
}

TEST(SchedulerTest, TheSameCallsGiveTheSameBytes) {
  std::string bytes[2];
  for (std::string& run : bytes) {
    SchedulerOptions options = Options();
    options.num_blocks = 16;
    options.expected_output_tokens = 2;
    Harness harness(options);
    for (uint64_t id = 1; id <= 12; ++id) harness.Add(Spec(id, 5 + id % 3, 10 + id));
    while (harness->HasWork()) run += harness.Step(3).SerializeAsString();
    EXPECT_GT(harness->state().preemptions, 0u);
  }
  EXPECT_EQ(bytes[0], bytes[1]);
}

}  // namespace
}  // namespace regatta
