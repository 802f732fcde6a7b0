// The estimate of Retry-After: queue over rate, and what it says when it knows nothing.
#include "router/retry_after.h"

#include <gtest/gtest.h>

#include <atomic>

#include "absl/time/clock.h"

namespace regatta {
namespace {

ClusterState StateAt(double seconds, uint64_t finished, uint32_t waiting) {
  ClusterState state;
  state.set_time_ns(static_cast<int64_t>((1000 + seconds) * 1e9));
  state.set_finished(finished);
  state.set_waiting(waiting);
  return state;
}

TEST(RetryAfterTest, IsTheQueueOverTheRate) {
  RetryAfter retry;
  for (int i = 0; i <= 100; ++i) retry.Observe(StateAt(i, 50 * i, 600));
  EXPECT_NEAR(retry.Seconds(), 12, 0.1);
  retry.Observe(StateAt(101, 50 * 101, 100));
  EXPECT_NEAR(retry.Seconds(), 2, 0.1);
}

TEST(RetryAfterTest, ForgetsOldRates) {
  RetryAfter retry;
  for (int i = 0; i <= 60; ++i) retry.Observe(StateAt(i, 100 * i, 100));
  EXPECT_NEAR(retry.Seconds(), 1, 0.1);
  for (int i = 61; i <= 120; ++i) retry.Observe(StateAt(i, 6000 + 5 * (i - 60), 100));
  EXPECT_NEAR(retry.Seconds(), 20, 2);
}

TEST(RetryAfterTest, DoesNotDependOnHowOftenItLooks) {
  RetryAfter often, seldom;
  for (int i = 0; i <= 40; ++i) often.Observe(StateAt(i, 7 * i, 70));
  for (int i = 0; i <= 40; i += 4) seldom.Observe(StateAt(i, 7 * i, 70));
  EXPECT_NEAR(often.Seconds(), seldom.Seconds(), 1e-6);
}

TEST(RetryAfterTest, KnowsNothingAtFirstAndWhenNothingFinishes) {
  RetryAfter retry;
  EXPECT_EQ(retry.Seconds(), 1);
  retry.Observe(StateAt(0, 10, 500));
  EXPECT_EQ(retry.Seconds(), RetryAfter::kUnknownSeconds);
  for (int i = 1; i <= 300; ++i) retry.Observe(StateAt(i, 10 + i, 500));
  EXPECT_NEAR(retry.Seconds(), 500, 1);
  for (int i = 301; i <= 900; ++i) retry.Observe(StateAt(i, 310, 500));
  EXPECT_EQ(retry.Seconds(), RetryAfter::kUnknownSeconds);
  retry.Observe(StateAt(901, 310, 0));
  EXPECT_EQ(retry.Seconds(), 1);
}

TEST(RetryAfterTest, StatesOutOfOrderAreIgnored) {
  RetryAfter retry;
  for (int i = 0; i <= 100; ++i) retry.Observe(StateAt(i, 50 * i, 600));
  retry.Observe(StateAt(50, 1, 9));
  retry.Observe(StateAt(100, 6000, 9));
  EXPECT_NEAR(retry.Seconds(), 12, 0.1);
}

TEST(RetryAfterTest, TheWatchAsksAgainAndAgain) {
  std::atomic<int> asked = 0;
  std::function<void(ClusterState)> late;
  {
    RetryAfterWatch watch(
        [&](std::function<void(ClusterState)> reply) {
          const int i = asked++;
          if (i == 3) late = reply;
          reply(StateAt(i, 10 * i, 20));
        },
        absl::Milliseconds(5));
    for (int i = 0; i < 1000 && asked < 300; ++i) absl::SleepFor(absl::Milliseconds(10));
    EXPECT_GE(asked, 300);
    EXPECT_NEAR(watch.Seconds(), 2, 0.1);
  }
  late(StateAt(500, 9, 9));  // An answer that comes too late harms nobody.
}

}  // namespace
}  // namespace regatta
