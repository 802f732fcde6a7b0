// Groups come and go: what they counted stays, and is counted once.
#include "router/metrics/router_metrics.h"

#include <gtest/gtest.h>

#include <thread>

namespace regatta {
namespace {

EngineTimes Times(int64_t arrived, int64_t scheduled, int64_t first, int64_t last) {
  EngineTimes times;
  times.set_arrived_ns(arrived);
  times.set_scheduled_ns(scheduled);
  times.set_first_token_ns(first);
  times.set_last_token_ns(last);
  return times;
}

Usage UsageOf(uint32_t prompt, uint32_t output) {
  Usage usage;
  usage.set_prompt_tokens(prompt);
  usage.set_output_tokens(output);
  return usage;
}

double SumOf(const RouterMetrics& metrics, GroupHistogram histogram) {
  return metrics.Take().totals.Get(histogram).sum;
}

TEST(RouterMetrics, BeforeAnyGroup_EveryHistogramIsThereAndEmpty) {
  const RouterMetrics metrics(4096);
  const RouterMetrics::Snapshot snapshot = metrics.Take();
  for (size_t i = 0; i < kNumGroupHistograms; ++i) {
    const auto histogram = static_cast<GroupHistogram>(i);
    EXPECT_EQ(snapshot.totals.Get(histogram).counts.size(),
              metrics.bounds().Of(histogram).size() + 1);
    EXPECT_EQ(snapshot.totals.Get(histogram).count(), 0);
  }
  EXPECT_TRUE(snapshot.groups.empty());
}

TEST(RouterMetrics, RequestsTimes_GoWhereTheyBelong) {
  RouterMetrics metrics(4096);
  const auto group = metrics.AddGroup(1, {});
  constexpr int64_t kSecond = 1'000'000'000;
  group->FirstTokens(1, 100, 4 * kSecond);
  group->LaterTokens(2, 3 * kSecond);
  group->Finished(Times(kSecond, 2 * kSecond, 5 * kSecond, 11 * kSecond), UsageOf(100, 4),
                  12 * kSecond);
  EXPECT_DOUBLE_EQ(SumOf(metrics, GroupHistogram::kFirstToken), 4);
  EXPECT_DOUBLE_EQ(SumOf(metrics, GroupHistogram::kInterToken), 3);
  EXPECT_EQ(metrics.Take().totals.Get(GroupHistogram::kInterToken).count(), 2);
  EXPECT_DOUBLE_EQ(SumOf(metrics, GroupHistogram::kEndToEnd), 11);
  EXPECT_DOUBLE_EQ(SumOf(metrics, GroupHistogram::kQueue), 1);
  EXPECT_DOUBLE_EQ(SumOf(metrics, GroupHistogram::kInference), 9);
  EXPECT_DOUBLE_EQ(SumOf(metrics, GroupHistogram::kPrefill), 3);
  EXPECT_DOUBLE_EQ(SumOf(metrics, GroupHistogram::kDecode), 6);
  EXPECT_DOUBLE_EQ(SumOf(metrics, GroupHistogram::kTimePerOutputToken), 2);
  EXPECT_EQ(SumOf(metrics, GroupHistogram::kPromptTokens), 100);
  EXPECT_EQ(SumOf(metrics, GroupHistogram::kGenerationTokens), 4);
  EXPECT_EQ(metrics.Take().totals.Get(GroupCounter::kPromptTokens), 100);
}

TEST(RouterMetrics, OneOutputToken_HasNoTimePerToken) {
  RouterMetrics metrics(4096);
  metrics.AddGroup(1, {})->Finished(Times(1, 2, 3, 3), UsageOf(1, 1), 3);
  const HistogramTotals totals = metrics.Take().totals.Get(GroupHistogram::kTimePerOutputToken);
  EXPECT_EQ(totals.count(), 1);
  EXPECT_EQ(totals.sum, 0);
}

TEST(RouterMetrics, AGroupGoesAndAnotherComes_NothingIsLostOrDoubled) {
  RouterMetrics metrics(4096);
  SchedulerState state;
  state.steps = 5;
  state.preemptions = 2;
  state.queried_tokens = 64;
  state.cached_tokens = 32;
  state.prompt_tokens = 48;
  state.running = 3;
  uint64_t published = 0;
  for (uint64_t epoch = 1; epoch <= 4; ++epoch) {
    const auto group = metrics.AddGroup(epoch, {.index = 0, .num_ranks = 2});
    group->SetState(state);
    group->LaterTokens(epoch, 1'000'000);
    group->Published(1000);
    group->rank(1).compute_ns.Add(100);
    group->rank(1).timed_steps.Add(1);
    published += epoch;
    for (const bool live : {true, false}) {
      if (!live) metrics.RemoveGroup(epoch);
      const RouterMetrics::Snapshot snapshot = metrics.Take();
      EXPECT_EQ(snapshot.groups.size(), live ? 1 : 0);
      EXPECT_EQ(snapshot.totals.Get(GroupCounter::kGenerationTokens), published);
      EXPECT_EQ(snapshot.totals.Get(GroupCounter::kSteps), 5 * epoch);
      EXPECT_EQ(snapshot.totals.Get(GroupCounter::kPreemptions), 2 * epoch);
      EXPECT_EQ(snapshot.totals.Get(GroupCounter::kQueriedTokens), 64 * epoch);
      EXPECT_EQ(snapshot.totals.Get(GroupCounter::kCachedTokens), 32 * epoch);
      EXPECT_EQ(snapshot.totals.Get(GroupCounter::kComputedTokens), 48 * epoch);
      EXPECT_EQ(snapshot.totals.Get(GroupHistogram::kStepPublish).count(), epoch);
      EXPECT_EQ(snapshot.ranks.at({0, 1}).compute_ns, 100 * epoch);
      EXPECT_EQ(snapshot.ranks.at({0, 1}).timed_steps, epoch);
      EXPECT_EQ(snapshot.ranks.at({0, 0}).timed_steps, 0);
    }
  }
}

TEST(RouterMetrics, GroupsAreListedByIndexNotByEpoch) {
  RouterMetrics metrics(4096);
  metrics.AddGroup(7, {.index = 1});
  metrics.AddGroup(9, {.index = 0});
  const RouterMetrics::Snapshot snapshot = metrics.Take();
  ASSERT_EQ(snapshot.groups.size(), 2);
  EXPECT_EQ(snapshot.groups[0]->facts().index, 0);
  EXPECT_EQ(snapshot.groups[1]->facts().index, 1);
}

// One thread a group records while groups come and go and a scraper looks: it never sees less than
// before.
TEST(RouterMetrics, ScrapedWhileGroupsComeAndGo_CountersNeverGoDown) {
  RouterMetrics metrics(4096);
  constexpr uint64_t kGroups = 200, kSteps = 500;
  std::atomic<bool> done = false;
  std::jthread coordinator([&] {
    for (uint64_t epoch = 1; epoch <= kGroups; ++epoch) {
      const auto group = metrics.AddGroup(epoch, {.index = 0});
      std::thread engine([&group] {
        for (uint64_t step = 0; step < kSteps; ++step) {
          group->LaterTokens(1, step * 1'000'000);
        }
      });
      engine.join();
      metrics.RemoveGroup(epoch);
    }
    done = true;
  });
  uint64_t tokens = 0, observed = 0;
  while (!done) {
    const GroupTotals totals = metrics.Take().totals;
    ASSERT_GE(totals.Get(GroupCounter::kGenerationTokens), tokens);
    ASSERT_GE(totals.Get(GroupHistogram::kInterToken).count(), observed);
    tokens = totals.Get(GroupCounter::kGenerationTokens);
    observed = totals.Get(GroupHistogram::kInterToken).count();
  }
  coordinator.join();
  EXPECT_EQ(metrics.Take().totals.Get(GroupCounter::kGenerationTokens), kGroups * kSteps);
  EXPECT_EQ(metrics.Take().totals.Get(GroupHistogram::kInterToken).count(), kGroups * kSteps);
}

}  // namespace
}  // namespace regatta
