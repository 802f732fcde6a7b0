// The pace and each of its exceptions.
#include "router/scheduler/prompt_pace.h"

#include <gtest/gtest.h>

namespace regatta {
namespace {

constexpr uint32_t kPrompt = 128, kOutputs = 128, kStep = 8192;

// 64 users who have been there for a while, 128 tokens in and out: half a prompt a step is what
// keeps them running.
class PromptPaceTest : public testing::Test {
 protected:
  PromptPaceTest() {
    pace_.Ended(kPrompt, kOutputs);
    GetUsed();
  }

  // So many are usual.
  void GetUsed() {
    for (int i = 0; i < 200; ++i) pace_.Begin(decoding_, present_, 0);
  }
  // Sequences of `prompt` tokens that a plan takes while `waiting` want to join.
  uint32_t Plan(uint32_t waiting, uint32_t prompt = kPrompt) {
    pace_.Begin(decoding_, present_ - waiting, waiting);
    uint32_t taken = 0;
    for (; taken < waiting && pace_.Admits(); ++taken) pace_.Admitted(prompt);
    if (taken < waiting) pace_.HeldBack();
    return taken;
  }
  PromptPace pace_{kStep};
  uint32_t decoding_ = 40, present_ = 64;
};

TEST_F(PromptPaceTest, JoinsTwiceAsFastAsSequencesEnd) {
  EXPECT_EQ(Plan(16), 1u);
  EXPECT_EQ(Plan(15), 1u);
  for (int i = 0; i < 500; ++i) pace_.Ended(4 * kPrompt, kOutputs);
  EXPECT_NEAR(Plan(14), 4, 1);
  EXPECT_NEAR(Plan(14), 4, 1);
}

// However seldom sequences end, a step carries a prompt of 128 tokens along.
TEST_F(PromptPaceTest, WhoComesAloneJoins) {
  for (int i = 0; i < 500; ++i) pace_.Ended(kPrompt, 100 * kOutputs);
  for (int i = 0; i < 100; ++i) ASSERT_EQ(Plan(1), 1u) << i;
}

TEST_F(PromptPaceTest, WholePromptsAreTakenAndMadeUpFor) {
  for (int i = 0; i < 500; ++i) pace_.Ended(4 * kPrompt, 64 * kOutputs);
  EXPECT_EQ(Plan(16, 4 * kPrompt), 1u);
  int plans = 1;
  while (Plan(15, 4 * kPrompt) == 0) ++plans;
  EXPECT_EQ(plans, 4);
}

TEST_F(PromptPaceTest, AnUnusuallyLongPromptIsNotMadeUpFor) {
  EXPECT_EQ(Plan(16, 100'000), 1u);
  int plans = 1;
  while (Plan(15) == 0) ++plans;
  EXPECT_LE(plans, 3);
}

TEST_F(PromptPaceTest, IdleStepsAreNotSaved) { EXPECT_EQ(Plan(16), 1u); }

TEST(PromptPaceStartTest, NoPaceBeforeASequenceHasEnded) {
  PromptPace pace(kStep);
  for (int i = 0; i < 100; ++i) {
    pace.Begin(40, 40, 24);
    for (int taken = 0; taken < 24; ++taken) {
      ASSERT_TRUE(pace.Admits());
      pace.Admitted(kPrompt);
    }
  }
}

TEST_F(PromptPaceTest, NobodyWaitsWhereNothingDecodes) {
  decoding_ = 0;
  EXPECT_EQ(Plan(16), 16u);
}

TEST_F(PromptPaceTest, NewcomersAreNotMadeToWait) {
  present_ = 100;
  EXPECT_EQ(Plan(36), 36u);
  GetUsed();
  EXPECT_EQ(Plan(36), 2u) << "they have become the usual ones";
}

TEST_F(PromptPaceTest, WhatWasUsualIsForgottenWhereNothingDecodes) {
  pace_.Begin(0, 0, 0);
  present_ = 10;
  decoding_ = 1;
  EXPECT_EQ(Plan(9), 9u);
}

TEST_F(PromptPaceTest, ManyAreDealtOutInLargerPieces) {
  present_ = 640;
  decoding_ = 600;
  GetUsed();
  EXPECT_EQ(Plan(64), 16u) << "2,048 tokens, though five end in a step";
  for (int i = 0; i < 500; ++i) pace_.Ended(kPrompt, kOutputs / 8);
  EXPECT_EQ(Plan(200), 80u) << "twice as many as end in a step";
}

TEST_F(PromptPaceTest, LongPromptsAreNotDealtOut) {
  for (int i = 0; i < 500; ++i) pace_.Ended(4 * kPrompt, 4 * kOutputs);
  EXPECT_LT(Plan(16), 16u);
  for (int i = 0; i < 500; ++i) pace_.Ended(4 * kPrompt + 1, 4 * kOutputs);
  EXPECT_EQ(Plan(16), 16u);
}

TEST_F(PromptPaceTest, WavesOfManyFullStepsAreLeftAsTheyAre) {
  present_ = 12 * kStep / kPrompt;
  decoding_ = present_ - 64;
  GetUsed();
  EXPECT_LT(Plan(64), 64u);
  ++present_;
  EXPECT_EQ(Plan(64), 64u);
}

TEST_F(PromptPaceTest, PatienceEndsForAllWhoWait) {
  for (int i = 0; i < 24; ++i) ASSERT_EQ(Plan(16), 1u) << i;
  EXPECT_EQ(Plan(16), 16u);
  EXPECT_EQ(Plan(5), 5u);
  pace_.Begin(decoding_, present_, 0);
  EXPECT_EQ(Plan(5), 1u) << "nobody waited in between";
}

}  // namespace
}  // namespace regatta
