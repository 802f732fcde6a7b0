// Who waits for whom while long requests are read.
#include "router/openai/long_prompt_pool.h"

#include <gmock/gmock.h>

#include <memory>
#include <thread>
#include <vector>

#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"

namespace regatta {
namespace {

using testing::ElementsAre;

constexpr absl::Duration kPatience = absl::Seconds(20);
constexpr size_t kHugeBytes = 100;

// A task that holds its thread until it is let go. Outlives the pool.
class Holder {
 public:
  LongPromptPool::Task Task() {
    return [this] {
      entered_.Notify();
      go_on_.WaitForNotificationWithTimeout(kPatience);
    };
  }
  bool Entered() { return entered_.WaitForNotificationWithTimeout(kPatience); }
  void LetGo() { go_on_.Notify(); }

 private:
  absl::Notification entered_, go_on_;
};

TEST(LongPromptPoolTest, NobodyWaitsForHugeBodies) {
  Holder huge, second_huge;
  LongPromptPool pool(2, 8, kHugeBytes);
  ASSERT_TRUE(pool.TryRun(kHugeBytes + 1, huge.Task()));
  ASSERT_TRUE(huge.Entered());
  ASSERT_TRUE(pool.TryRun(kHugeBytes + 1, second_huge.Task()));
  for (int i = 0; i < 100; ++i) {
    absl::Notification done;
    ASSERT_TRUE(pool.TryRun(kHugeBytes, [&done] { done.Notify(); }));
    ASSERT_TRUE(done.WaitForNotificationWithTimeout(kPatience)) << i;
  }
  huge.LetGo();
  EXPECT_TRUE(second_huge.Entered());
  second_huge.LetGo();
}

TEST(LongPromptPoolTest, WithoutHugeBodiesBothThreadsHelp) {
  Holder first, second;
  LongPromptPool pool(2, 8, kHugeBytes);
  ASSERT_TRUE(pool.TryRun(1, first.Task()));
  ASSERT_TRUE(pool.TryRun(1, second.Task()));
  EXPECT_TRUE(first.Entered());
  EXPECT_TRUE(second.Entered());
  first.LetGo();
  second.LetGo();
}

TEST(LongPromptPoolTest, TheSmallestAndTheOldestAreTakenInTurn) {
  std::vector<size_t> order;
  absl::Notification last;
  Holder running;
  LongPromptPool pool(1, 8, kHugeBytes);
  ASSERT_TRUE(pool.TryRun(1, running.Task()));
  ASSERT_TRUE(running.Entered());
  for (const size_t bytes : {50, 40, 10, 30, 20}) {
    ASSERT_TRUE(pool.TryRun(bytes, [&, bytes] {
      order.push_back(bytes);
      if (order.size() == 5) last.Notify();
    }));
  }
  running.LetGo();
  ASSERT_TRUE(last.WaitForNotificationWithTimeout(kPatience));
  EXPECT_THAT(order, ElementsAre(10, 50, 20, 40, 30));
}

TEST(LongPromptPoolTest, TooManyOfOneKindAreRefusedAndTheOtherTaken) {
  Holder running;
  LongPromptPool pool(1, 2, kHugeBytes);
  ASSERT_TRUE(pool.TryRun(1, running.Task()));
  ASSERT_TRUE(running.Entered());
  const auto takes = [&pool](size_t bytes) { return pool.TryRun(bytes, [] {}); };
  EXPECT_TRUE(takes(kHugeBytes + 1));
  EXPECT_TRUE(takes(kHugeBytes + 1));
  EXPECT_FALSE(takes(kHugeBytes + 1));
  EXPECT_TRUE(takes(kHugeBytes));
  EXPECT_TRUE(takes(kHugeBytes));
  EXPECT_FALSE(takes(kHugeBytes));
  running.LetGo();
}

TEST(LongPromptPoolTest, WhatWaitsAtTheEndIsDropped) {
  bool ran = false;
  Holder running;
  auto pool = std::make_unique<LongPromptPool>(1, 8, kHugeBytes);
  ASSERT_TRUE(pool->TryRun(1, running.Task()));
  ASSERT_TRUE(running.Entered());
  ASSERT_TRUE(pool->TryRun(1, [&ran] { ran = true; }));
  std::thread end([&pool] { pool.reset(); });
  absl::SleepFor(absl::Milliseconds(50));
  running.LetGo();
  end.join();
  EXPECT_FALSE(ran);
}

}  // namespace
}  // namespace regatta
