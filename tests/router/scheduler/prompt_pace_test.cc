// The pace and each of its exceptions.
#include "router/scheduler/prompt_pace.h"

#include <gtest/gtest.h>

namespace regatta {
namespace {

constexpr uint32_t kPrompt = 128, kOutputs = 128;

// 64 users who have been there for a while, 128 tokens in and out: half a prompt a step is what
// keeps them running.
class PromptPaceTest : public testing::Test {
 protected:
  PromptPaceTest() {
    pace_.Ended(kPrompt, kOutputs);
    for (int i = 0; i < 200; ++i) Begin();
  }

  // Sequences of `prompt` tokens that a plan takes if so many want to join.
  uint32_t Begin(uint32_t wanting = 0, uint32_t prompt = kPrompt) {
    pace_.Begin(step_);
    uint32_t taken = 0;
    for (; taken < wanting && pace_.Admits(); ++taken) pace_.Admitted(prompt);
    return taken;
  }
  uint32_t TakenIn(int steps, uint32_t prompt = kPrompt) {
    uint32_t taken = 0;
    for (int i = 0; i < steps; ++i) taken += Begin(64, prompt);
    return taken;
  }

  PromptPace pace_;
  PromptPace::Step step_ = {.decoding = 40, .present = 64};
};

TEST_F(PromptPaceTest, JoinsTwiceAsFastAsSequencesEnd) { EXPECT_EQ(TakenIn(100), 100u); }

TEST_F(PromptPaceTest, FollowsTheLengthsOfLate) {
  for (int i = 0; i < 500; ++i) pace_.Ended(4 * kPrompt, kOutputs);  // that many were computed
  EXPECT_NEAR(TakenIn(100), 400, 4);
  for (int i = 0; i < 500; ++i) pace_.Ended(kPrompt, 4 * kOutputs);
  EXPECT_NEAR(TakenIn(100), 25, 4);
}

TEST_F(PromptPaceTest, ALongPromptIsNeitherCutNorOwedForLong) {
  EXPECT_EQ(Begin(1, 100'000), 1u);
  int steps = 1;
  while (Begin(1) == 0) ++steps;
  EXPECT_LE(steps, 3);
}

TEST_F(PromptPaceTest, IdleStepsAreNotSaved) {
  for (int i = 0; i < 100; ++i) Begin();
  EXPECT_LE(Begin(64), 2u);
}

TEST_F(PromptPaceTest, StagesShareThePace) {
  step_.stages = 4;
  EXPECT_NEAR(TakenIn(400), 100, 2);
}

TEST(PromptPaceStartTest, NoPaceBeforeASequenceHasEnded) {
  PromptPace pace;
  for (int i = 0; i < 100; ++i) {
    pace.Begin({.decoding = 40, .present = 64});
    for (int taken = 0; taken < 24; ++taken) {
      ASSERT_TRUE(pace.Admits());
      pace.Admitted(kPrompt);
    }
  }
}

TEST_F(PromptPaceTest, NobodyWaitsWhereNothingDecodes) {
  step_.decoding = 0;
  EXPECT_EQ(Begin(64), 64u);
}

TEST_F(PromptPaceTest, NewcomersAreNotMadeToWait) {
  step_.present = 100;
  EXPECT_EQ(Begin(36), 36u);
  for (int i = 0; i < 200; ++i) Begin();
  EXPECT_LE(Begin(36), 2u) << "they have become the usual ones";
}

TEST_F(PromptPaceTest, NoPaceWhereManyShareAStep) {
  step_.present = 129;
  for (int i = 0; i < 200; ++i) Begin();
  EXPECT_EQ(Begin(64), 64u);
  step_.present = 128;
  EXPECT_LT(Begin(64), 64u);
  step_ = {.decoding = 40, .present = 256, .stages = 2};
  for (int i = 0; i < 200; ++i) Begin();
  EXPECT_LT(Begin(64), 64u);
}

TEST_F(PromptPaceTest, PatienceEnds) {
  step_.waited_steps = 23;
  EXPECT_LE(Begin(64), 2u);
  step_.waited_steps = 24;
  EXPECT_EQ(Begin(64), 64u);
  step_.stages = 2;
  EXPECT_LE(Begin(64), 2u);
}

}  // namespace
}  // namespace regatta
