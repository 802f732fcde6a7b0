// Which group takes a sequence, in which order, and what is remembered of it.
#include "router/placement.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/testing/collecting_stream.h"

namespace regatta {
namespace {

using testing::ElementsAre;
using testing::Pair;

std::unique_ptr<Request> MakeRequest(uint64_t id, std::vector<uint32_t> prompt = {1, 2, 3},
                                     int32_t priority = 0, int64_t deadline_ns = 0) {
  auto request = std::make_unique<Request>(Request{
      .id = id,
      .output = OutputProcessor(OutputOptions(), nullptr),
      .stream = std::make_shared<CollectingStream>(),
      .queue_deadline_ns = deadline_ns,
  });
  request->spec.prompt_length = prompt.size();
  request->spec.tokens = std::move(prompt);
  request->spec.priority = priority;
  request->spec.max_output_tokens = 10;
  request->longest = request->spec.prompt_length + 10;
  return request;
}

std::vector<uint32_t> Prompt(uint32_t first, size_t length) {
  std::vector<uint32_t> prompt(length);
  for (size_t i = 0; i < length; ++i) prompt[i] = first + i;
  return prompt;
}

TEST(PlacementTest, ServesByPriorityThenAge) {
  Placement placement({});
  ASSERT_TRUE(placement.Enqueue(MakeRequest(1)).ok());
  ASSERT_TRUE(placement.Enqueue(MakeRequest(2, {1}, 5)).ok());
  ASSERT_TRUE(placement.Enqueue(MakeRequest(3, {1}, 5)).ok());
  ASSERT_TRUE(placement.Enqueue(MakeRequest(4, {1}, -1)).ok());
  EXPECT_FALSE(placement.Next().has_value());  // No group.
  placement.AddGroup(7, 3);
  std::vector<uint64_t> order;
  while (auto next = placement.Next()) order.push_back(next->request->id);
  EXPECT_THAT(order, ElementsAre(2, 3, 1));  // The group is full.
  placement.Finished(3);
  EXPECT_EQ(placement.Next()->request->id, 4);
  EXPECT_EQ(placement.num_live(), 3);
}

TEST(PlacementTest, AFullQueueNamesItsLimitAndLeavesTheRequest) {
  Placement placement({.max_queue_size = 2});
  ASSERT_TRUE(placement.Enqueue(MakeRequest(1)).ok());
  ASSERT_TRUE(placement.Enqueue(MakeRequest(2)).ok());
  auto third = MakeRequest(3);
  const absl::Status status = placement.Enqueue(std::move(third));
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(std::string(status.message()), testing::HasSubstr("max_queue_size 2"));
  EXPECT_NE(third, nullptr);
  placement.AddGroup(1, 1);
  ASSERT_TRUE(placement.Next().has_value());
  EXPECT_TRUE(placement.Enqueue(std::move(third)).ok());
}

TEST(PlacementTest, TheLeastLoadedGroupIsChosen) {
  Placement placement({});
  placement.AddGroup(1, 100);
  placement.AddGroup(2, 100);
  std::map<uint64_t, uint64_t> tokens;
  for (uint64_t id = 1; id <= 20; ++id) {
    const size_t length = id % 2 == 0 ? 1000 : 10;
    ASSERT_TRUE(placement.Enqueue(MakeRequest(id, Prompt(id * 5000, length))).ok());
    const auto next = placement.Next();
    tokens[next->group] += length;
  }
  EXPECT_LE(std::max(tokens[1], tokens[2]) - std::min(tokens[1], tokens[2]), 1000);
}

TEST(PlacementTest, APausedGroupHoldsUpNobody) {
  Placement placement({.block_size = 1});
  placement.AddGroup(1, 100);
  placement.AddGroup(2, 100);
  const auto place = [&](uint64_t id) {
    EXPECT_TRUE(placement.Enqueue(MakeRequest(id)).ok());
    const auto next = placement.Next();
    return next ? next->group : 0;
  };
  const uint64_t home = place(1);
  placement.Pause(home);
  EXPECT_EQ(place(2), 3 - home);  // Not the one that knows the prompt.
  placement.Pause(3 - home);
  EXPECT_EQ(place(3), 0);
  placement.Resume();
  EXPECT_EQ(placement.Next()->request->id, 3);
}

TEST(PlacementTest, TheLongestLiveOnesAreKnown) {
  Placement placement({});
  ASSERT_TRUE(placement.Enqueue(MakeRequest(1, Prompt(0, 70))).ok());
  ASSERT_TRUE(placement.Enqueue(MakeRequest(2, Prompt(0, 30))).ok());
  placement.AddGroup(1, 1);
  ASSERT_EQ(placement.Next()->request->id, 1);
  EXPECT_EQ(placement.LongestPrompt(), 70);
  EXPECT_EQ(placement.LongestSequence(), 80);
  placement.Finished(1);
  EXPECT_EQ(placement.LongestPrompt(), 30);
}

TEST(PlacementTest, SharedPrefixesMeetUnlessTheirGroupIsMuchBusier) {
  Placement placement({.block_size = 4, .affinity_slack_tokens = 100});
  placement.AddGroup(1, 1000);
  placement.AddGroup(2, 1000);
  uint64_t id = 0;
  const auto place = [&](std::vector<uint32_t> prompt, bool cache = true) {
    auto request = MakeRequest(++id, std::move(prompt));
    request->spec.prefix_cache = cache;
    EXPECT_TRUE(placement.Enqueue(std::move(request)).ok());
    return placement.Next()->group;
  };
  auto with_tail = [](uint32_t tail) {
    std::vector<uint32_t> prompt = Prompt(0, 20);
    prompt.push_back(tail);
    return prompt;
  };
  const uint64_t home = place(with_tail(1));
  const uint64_t other = 3 - home;
  EXPECT_EQ(place(with_tail(2)), home);
  EXPECT_EQ(place(with_tail(3)), home);
  EXPECT_EQ(place(with_tail(4), /*cache=*/false), other);
  EXPECT_EQ(place(Prompt(7000, 20)), other);
  int moved = 0;
  for (int i = 0; i < 20; ++i) moved += place(with_tail(10 + i)) == other;
  EXPECT_GT(moved, 0);  // The slack is used up.
  EXPECT_LT(moved, 20);
}

TEST(PlacementTest, ReturnedRequestsKeepTheirTurn) {
  Placement placement({.max_queue_size = 1});
  placement.AddGroup(1, 10);
  ASSERT_TRUE(placement.Enqueue(MakeRequest(1)).ok());
  auto placed = placement.Next();
  ASSERT_TRUE(placement.Enqueue(MakeRequest(2)).ok());
  placement.RemoveGroup(1);
  placement.Return(std::move(placed->request));  // Over the queue's bound.
  EXPECT_EQ(placement.num_waiting(), 2);
  placement.AddGroup(2, 10);
  EXPECT_EQ(placement.Next()->request->id, 1);
  EXPECT_EQ(placement.Next()->request->id, 2);
}

TEST(PlacementTest, CancelFindsARequestWhereverItIs) {
  Placement placement({});
  ASSERT_TRUE(placement.Enqueue(MakeRequest(1)).ok());
  ASSERT_TRUE(placement.Enqueue(MakeRequest(2)).ok());
  auto waiting = placement.Cancel(1);
  EXPECT_EQ(waiting.request->id, 1);
  EXPECT_FALSE(waiting.group.has_value());
  placement.AddGroup(9, 10);
  auto placed = placement.Next();
  EXPECT_FALSE(placement.WasCancelled(2));
  auto running = placement.Cancel(2);
  EXPECT_EQ(running.request, nullptr);
  EXPECT_EQ(running.group, 9u);
  EXPECT_TRUE(placement.WasCancelled(2));
  placement.Finished(2);
  auto unknown = placement.Cancel(2);
  EXPECT_EQ(unknown.request, nullptr);
  EXPECT_FALSE(unknown.group.has_value());
}

TEST(PlacementTest, QueueDeadlinesAreNamedOnceWhereTheRequestIs) {
  Placement placement({});
  placement.AddGroup(9, 1);
  ASSERT_TRUE(placement.Enqueue(MakeRequest(1, {1}, 0, 100)).ok());
  ASSERT_TRUE(placement.Enqueue(MakeRequest(2, {1}, 0, 200)).ok());
  ASSERT_TRUE(placement.Enqueue(MakeRequest(3, {1}, 0, 50)).ok());
  auto placed = placement.Next();
  EXPECT_EQ(placement.NextDeadline(), 50);
  auto expired = placement.TakeExpired(150);
  ASSERT_EQ(expired.waiting.size(), 1);
  EXPECT_EQ(expired.waiting[0]->id, 3);
  EXPECT_THAT(expired.placed, ElementsAre(Pair(9, 1)));
  EXPECT_TRUE(placement.TakeExpired(150).placed.empty());
  // Its group died before it could refuse the request: the deadline counts again.
  placement.RemoveGroup(9);
  placement.Return(std::move(placed->request));
  expired = placement.TakeExpired(151);
  ASSERT_EQ(expired.waiting.size(), 1);
  EXPECT_EQ(expired.waiting[0]->id, 1);
  EXPECT_EQ(placement.NextDeadline(), 200);
}

TEST(PlacementTest, AStartedRequestHasNoQueueDeadline) {
  Placement placement({});
  placement.AddGroup(9, 1);
  ASSERT_TRUE(placement.Enqueue(MakeRequest(1, {1}, 0, 100)).ok());
  auto placed = placement.Next();
  placed->request->output.Scheduled(50);
  placement.RemoveGroup(9);
  placement.Return(std::move(placed->request));
  EXPECT_TRUE(placement.TakeExpired(150).waiting.empty());
  EXPECT_EQ(placement.num_waiting(), 1);
}

TEST(PlacementTest, LongestSequenceCountsPromptAndAskedOutput) {
  Placement placement({});
  ASSERT_TRUE(placement.Enqueue(MakeRequest(1, Prompt(0, 30))).ok());
  placement.AddGroup(1, 5);
  auto placed = placement.Next();
  ASSERT_TRUE(placement.Enqueue(MakeRequest(2, Prompt(0, 3))).ok());
  EXPECT_EQ(placement.LongestSequence(), 40);
  placement.Finished(1);
  EXPECT_EQ(placement.LongestSequence(), 13);
}

TEST(PrefixAffinityTest, TheLongestKnownPrefixWinsAndMemoryIsBounded) {
  PrefixAffinity affinity(4, 1000);
  affinity.Remember(Prompt(0, 8), 8, 1);
  std::vector<uint32_t> longer = Prompt(0, 16);
  affinity.Remember(longer, 16, 2);
  affinity.Remember(Prompt(0, 8), 8, 1);
  EXPECT_EQ(affinity.Find(longer, 16), 2);
  longer[15] = 99;
  EXPECT_EQ(affinity.Find(longer, 16), 1);
  EXPECT_FALSE(affinity.Find(Prompt(0, 3), 3).has_value());  // Not a whole block.
  for (uint32_t i = 0; i < 3000; ++i) affinity.Remember(Prompt(100000 + 10 * i, 4), 4, 3);
  EXPECT_FALSE(affinity.Find(Prompt(0, 8), 8).has_value());  // Forgotten.
}

}  // namespace
}  // namespace regatta
