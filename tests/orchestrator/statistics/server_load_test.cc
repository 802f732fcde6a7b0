// Means over a whole run against sums made by hand.
#include "orchestrator/statistics/server_load.h"

#include <gtest/gtest.h>

namespace regatta {
namespace {

// Sent at `sent_ms`; 30 ms in the queue, 70 of prefill, 300 of decoding and 10 on the way back.
RequestRecord Told(double sent_ms) {
  RequestRecord r;
  r.set_sent_ms(sent_ms);
  r.set_first_token_ms(sent_ms + 110);
  r.set_last_token_ms(sent_ms + 410);
  r.set_queue_ms(30);
  r.set_prefill_ms(70);
  r.set_decode_ms(300);
  return r;
}

void Tell(double ms, uint32_t running, uint32_t waiting, double kv_usage, PointTimeline& timeline) {
  timeline.add_router_ms(ms);
  timeline.add_running(running);
  timeline.add_waiting(waiting);
  timeline.add_kv_usage(kv_usage);
}

// The states saw nothing of it, as a point of 0.6 s may end before the first of them.
TEST(ServerLoadTest, TheServersOwnTimesAreExact) {
  const std::vector<RequestRecord> requests = {Told(50), Told(60), Told(250)};
  PointTimeline timeline;
  Tell(0, 0, 0, 0, timeline);
  Tell(5000, 0, 0, 0, timeline);
  RegattaInfo info;
  NoteServerLoad(requests, timeline, info);
  EXPECT_DOUBLE_EQ(info.mean_running(), 3 * 370 / 610.0);
  EXPECT_DOUBLE_EQ(info.mean_waiting(), 3 * 30 / 610.0);
}

// Before the load and after it the router has nothing to do, and that is no part of the run.
TEST(ServerLoadTest, StatesCountAsFarAsTheyHoldWithinTheRun) {
  std::vector<RequestRecord> requests = {Told(200), Told(590)};
  requests[1].set_preemptions(1);  // so that its times do not say when it ran
  PointTimeline timeline;
  Tell(0, 0, 0, 0.9, timeline);
  Tell(200, 4, 1, 0.5, timeline);
  Tell(400, 2, 3, 0.1, timeline);
  Tell(1000, 0, 0, 0.9, timeline);
  Tell(9000, 0, 0, 0.9, timeline);
  RegattaInfo info;
  NoteServerLoad(requests, timeline, info);
  EXPECT_DOUBLE_EQ(info.mean_running(), (4 * 200 + 2 * 600) / 800.0);
  EXPECT_DOUBLE_EQ(info.mean_waiting(), (1 * 200 + 3 * 600) / 800.0);
  EXPECT_DOUBLE_EQ(info.mean_kv_usage(), (0.5 * 200 + 0.1 * 600) / 800.0);
}

TEST(ServerLoadTest, WhatNobodyToldIsNotKnown) {
  RequestRecord untold = Told(0);
  untold.clear_prefill_ms();
  RegattaInfo info;
  NoteServerLoad({Told(0), untold}, PointTimeline(), info);
  EXPECT_DOUBLE_EQ(info.mean_running(), 0);
  RequestRecord failed = Told(0);
  failed.set_error("UNAVAILABLE");
  NoteServerLoad({failed}, PointTimeline(), info);
  EXPECT_DOUBLE_EQ(info.mean_running(), 0);
}

}  // namespace
}  // namespace regatta
