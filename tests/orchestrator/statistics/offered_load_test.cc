// Who ran while all users were there, on records and router states that are made up.
#include "orchestrator/statistics/offered_load.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "orchestrator/statistics/missed_condition.h"
#include "orchestrator/statistics/users_at_speed.h"

namespace regatta {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// A closed loop of `users`, each with `rounds` requests of 1000 ms one after the other; user u
// comes u x `apart` ms after the first.
std::vector<RequestRecord> Loop(int users, int rounds, double apart = 0) {
  std::vector<RequestRecord> requests;
  for (int round = 0; round < rounds; ++round) {
    for (int user = 0; user < users; ++user) {
      RequestRecord& r = requests.emplace_back();
      r.set_sent_ms(1000.0 * round + apart * user);
      r.set_last_token_ms(r.sent_ms() + 1000);
    }
  }
  return requests;
}

void TellState(double ms, uint32_t running, PointTimeline& timeline) {
  timeline.add_router_ms(ms);
  timeline.add_running(running);
  timeline.add_waiting(0);
  timeline.add_kv_usage(0);
}

// The router's states, 100 ms apart from `from_ms` on.
void Tell(double from_ms, double to_ms, uint32_t running, PointTimeline& timeline) {
  for (double ms = from_ms; ms < to_ms; ms += 100) TellState(ms, running, timeline);
}

RegattaInfo Users(uint32_t users) {
  RegattaInfo info;
  info.set_concurrency(users);
  return info;
}

// Ten users who come, and later leave, one after the other, and of whom all run in between: the
// whole run says 8.3, as if the system could not run them.
TEST(OfferedLoadTest, RampAndDrainOfAShortPointAreNotCounted) {
  const std::vector<RequestRecord> requests = Loop(10, 4, 90);
  PointTimeline timeline;
  for (double ms = 0; ms < 4900; ms += 100) {
    const double come = std::min(10.0, ms / 90 + 1);
    const double gone = std::clamp((ms - 4000) / 90 + 1, 0.0, 10.0);
    TellState(ms, static_cast<uint32_t>(ms < 4000 ? come : 10 - gone), timeline);
  }
  RegattaInfo info = Users(10);
  info.mutable_load()->set_concurrency_ramp_s(0.81);
  const OfferedLoad offered = FindOfferedLoad(requests, info, timeline);
  EXPECT_THAT(offered.too_short(), IsEmpty());
  EXPECT_FALSE(offered.steady());
  EXPECT_TRUE(offered.by_router());
  EXPECT_DOUBLE_EQ(offered.start_ms(), 810);
  EXPECT_DOUBLE_EQ(offered.end_ms(), 3810);
  EXPECT_NEAR(offered.mean_running(), 10, 0.1);  // the state of 800 ms counts nine of them
}

TEST(OfferedLoadTest, StatesCountByTheTimeThatTheyHold) {
  PointTimeline timeline;
  Tell(0, 2000, 2, timeline);  // the last of them holds to 2000
  Tell(2000, 5000, 4, timeline);
  // From the first request at 0 to the last at 4000: 2 for one half, 4 for the other.
  EXPECT_DOUBLE_EQ(FindOfferedLoad(Loop(4, 5), Users(4), timeline).mean_running(), 3);
}

TEST(OfferedLoadTest, ASteadyWindowIsTheSpan) {
  PointTimeline timeline;
  Tell(0, 1000, 1, timeline);
  Tell(1000, 2000, 4, timeline);
  Tell(2000, 3000, 1, timeline);
  RegattaInfo info = Users(4);
  info.mutable_steady_window()->set_found(true);
  info.mutable_steady_window()->set_start_ms(1000);
  info.mutable_steady_window()->set_end_ms(1950);
  const OfferedLoad offered = FindOfferedLoad(Loop(4, 3), info, timeline);
  EXPECT_TRUE(offered.steady());
  EXPECT_DOUBLE_EQ(offered.mean_running(), 4);
}

TEST(OfferedLoadTest, WithoutARouterRequestsInFlightStandIn) {
  std::vector<RequestRecord> requests = Loop(4, 4);
  for (RequestRecord& r : requests) r.set_last_token_ms(r.sent_ms() + 750);
  const OfferedLoad offered = FindOfferedLoad(requests, Users(4), PointTimeline());
  EXPECT_FALSE(offered.by_router());
  EXPECT_DOUBLE_EQ(offered.mean_running(), 3);
}

// 1000 ms from sent to last token, of which the server let 100 wait.
TEST(OfferedLoadTest, WhatTheServerTellsOfEveryRequestIsExact) {
  std::vector<RequestRecord> requests = Loop(4, 4);
  for (RequestRecord& r : requests) {
    r.set_prefill_ms(100);
    r.set_decode_ms(800);
  }
  PointTimeline sparse;  // which says nothing of so short a point
  Tell(0, 200, 1, sparse);
  const OfferedLoad offered = FindOfferedLoad(requests, Users(4), sparse);
  EXPECT_THAT(offered.too_short(), IsEmpty());
  EXPECT_TRUE(offered.by_router());
  EXPECT_DOUBLE_EQ(offered.mean_running(), 3.6);
  requests[5].set_preemptions(1);  // and then did not run all the time
  EXPECT_THAT(FindOfferedLoad(requests, Users(4), sparse).too_short(), HasSubstr("states"));
}

// Where the closed loop alone is judged, every load has the means of its whole run.
TEST(OfferedLoadTest, TheWholeRunStandsBeside) {
  std::vector<RequestRecord> requests = Loop(4, 4, 90);
  for (RequestRecord& r : requests) {
    r.set_prefill_ms(100);
    r.set_decode_ms(800);
  }
  RegattaInfo info = Users(4);
  info.mutable_load()->set_arrival("burst");
  NoteOfferedLoad(requests, PointTimeline(), info);
  EXPECT_FALSE(info.has_offered());
  EXPECT_DOUBLE_EQ(info.mean_running(), 16 * 900 / 4270.0);
  info.mutable_load()->set_arrival("closed-loop");
  NoteOfferedLoad(requests, PointTimeline(), info);
  EXPECT_TRUE(info.has_offered());
}

TEST(OfferedLoadTest, WhatIsTooShortIsNotGuessed) {
  PointTimeline timeline;
  Tell(0, 3000, 4, timeline);
  EXPECT_THAT(FindOfferedLoad(Loop(8, 1), Users(8), timeline).too_short(),
              HasSubstr("8 requests were sent, 32 are needed"));
  EXPECT_THAT(FindOfferedLoad(Loop(1, 7), Users(1), timeline).too_short(), HasSubstr("8 are"));
  EXPECT_THAT(FindOfferedLoad(Loop(1, 8), Users(1), timeline).too_short(), IsEmpty());
  PointTimeline sparse;
  Tell(0, 500, 4, sparse);  // four of the five hold until a next one
  EXPECT_THAT(FindOfferedLoad(Loop(4, 4), Users(4), sparse).too_short(),
              HasSubstr("told 4 states, 5 are needed"));
  EXPECT_THAT(FindOfferedLoad({}, Users(4), timeline).too_short(), HasSubstr("0 requests"));
}

// A point that is as fast as anybody likes.
PointReport Point(uint32_t users) {
  PointReport point;
  point.mutable_streaming_metrics()->set_token_output_speed_tok_s(100);
  point.mutable_request_info()->set_num_requests(10 * users);
  point.mutable_request_info()->set_avg_num_concurrent_requests(users);
  RegattaInfo& info = *point.mutable_regatta();
  info.set_concurrency(users);
  info.set_p5_user_speed_tok_s(90);
  info.set_mean_running(0.8 * users);
  return point;
}

TEST(UsersAtSpeedTest, WhoRanIsJudgedWhileTheLoadWasOffered) {
  PointReport point = Point(100);
  EXPECT_THAT(MissedCondition(point, 50, 2000).text,
              HasSubstr("80.00 ran on average, below 95.00"));
  OfferedLoad& offered = *point.mutable_regatta()->mutable_offered();
  offered.set_mean_running(96);
  EXPECT_TRUE(MissedCondition(point, 50, 2000).empty());
  offered.set_mean_running(94);
  EXPECT_THAT(MissedCondition(point, 50, 2000).text,
              HasSubstr("94.00 ran on average while all were there (80.00 over the whole run), "
                        "below 95.00"));
  offered.set_steady(true);
  EXPECT_THAT(MissedCondition(point, 50, 2000).text,
              HasSubstr("94.00 ran on average in the steady"));
}

TEST(UsersAtSpeedTest, APointThatIsTooShortSaysSoAndCountsForNobody) {
  SweepReport sweep;
  *sweep.add_points() = Point(4);
  PointReport& untold = *sweep.add_points();
  untold = Point(8);
  sweep.mutable_points(0)->mutable_regatta()->mutable_offered()->set_mean_running(4);
  untold.mutable_regatta()->mutable_offered()->set_too_short("9 requests");
  EXPECT_TRUE(OnlyTooShort(untold, 50, 2000));
  EXPECT_FALSE(OnlyTooShort(untold, 200, 2000));  // too slow whatever ran
  EXPECT_FALSE(OnlyTooShort(sweep.points(0), 50, 2000));
  const UsersAtSpeed users = FindUsersAtSpeed(sweep, 50, 2000);
  EXPECT_EQ(users.users(), 4u);
  EXPECT_THAT(users.limited_by(),
              AllOf(HasSubstr("c=8: too short to tell how many of 8 ran"), HasSubstr("9 requ")));
}

}  // namespace
}  // namespace regatta
