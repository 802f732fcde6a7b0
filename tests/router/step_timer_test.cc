// When a step of the engine loop counts as stalled.
#include "router/step_timer.h"

#include <gtest/gtest.h>

namespace regatta {
namespace {

constexpr int64_t kMs = 1'000'000;

TEST(StepTimerTest, UnknownStepsHaveTheFloor) {
  StepTimer timer(2000 * kMs);
  timer.Dispatched(1, 100, 10 * kMs);
  EXPECT_EQ(timer.deadline_ns(), 2010 * kMs);
  EXPECT_EQ(timer.oldest_step(), 1);
}

TEST(StepTimerTest, SlowStepsGetFiveTimesTheirAverage) {
  StepTimer timer(2000 * kMs);
  int64_t now = 0;
  for (uint64_t step = 1; step <= 10; ++step) {
    timer.Dispatched(step, 4096, now);
    now += 1000 * kMs;
    timer.Completed(now);
  }
  timer.Dispatched(11, 5000, now);  // about as many tokens
  EXPECT_EQ(timer.limit_ns(), 5000 * kMs);
  timer.Completed(now);
  timer.Dispatched(12, 16, now);  // nothing alike yet
  EXPECT_EQ(timer.limit_ns(), 2000 * kMs);
}

TEST(StepTimerTest, AStepInFlightStartsWhenTheOneBeforeEnds) {
  StepTimer timer(100 * kMs);
  timer.Dispatched(1, 8, 0);
  timer.Dispatched(2, 8, 1 * kMs);
  EXPECT_EQ(timer.in_flight(), 2);
  EXPECT_EQ(timer.deadline_ns(), 100 * kMs);
  timer.Completed(90 * kMs);
  EXPECT_EQ(timer.oldest_step(), 2);
  EXPECT_EQ(timer.deadline_ns(), 90 * kMs + 450 * kMs);
}

// What masks take is no time of the workers: it neither raises their limit nor lowers it.
TEST(StepTimerTest, WaitingForMasksDoesNotCount) {
  StepTimer timer(100 * kMs);
  int64_t now = 0;
  for (uint64_t step = 1; step <= 50; ++step) {
    timer.Dispatched(step, 8, now);
    now += 1900 * kMs;
    timer.MasksSent(step, now);
    EXPECT_EQ(timer.deadline_ns() - now, timer.limit_ns()) << "it begins anew";
    timer.MasksSent(step + 7, now);  // not in flight
    EXPECT_EQ(timer.mask_wait_ns(), 1900 * kMs);
    now += 40 * kMs;
    EXPECT_EQ(timer.Completed(now), 1940 * kMs);
  }
  timer.Dispatched(60, 8, now);
  EXPECT_EQ(timer.limit_ns(), 200 * kMs);
}

TEST(StepTimerTest, MasksThatComeLateInAStepDoNotShortenIt) {
  StepTimer timer(10 * kMs);
  int64_t now = 0;
  for (uint64_t step = 1; step <= 50; ++step) {
    timer.Dispatched(step, 8, now);
    now += 90 * kMs;
    if (step > 1) timer.MasksSent(step, now);
    now += 10 * kMs;
    timer.Completed(now);
  }
  timer.Dispatched(60, 8, now);
  EXPECT_EQ(timer.limit_ns(), 500 * kMs);
}

}  // namespace
}  // namespace regatta
