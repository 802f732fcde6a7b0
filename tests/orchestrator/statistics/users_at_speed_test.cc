// How many users get a speed, by what their loads miss.
#include "orchestrator/statistics/users_at_speed.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "orchestrator/statistics/load_name.h"
#include "orchestrator/statistics/missed_condition.h"
#include "orchestrator/statistics/repeats.h"
#include "orchestrator/statistics/search_role.h"

namespace regatta {
namespace {

using ::testing::HasSubstr;

void AddPoint(uint32_t concurrency, double mean, double p5, double ttft, double running,
              SweepReport& sweep) {
  PointReport& point = *sweep.add_points();
  point.mutable_request_info()->set_num_requests(10 * concurrency);
  point.mutable_regatta()->set_concurrency(concurrency);
  point.mutable_streaming_metrics()->set_token_output_speed_tok_s(mean);
  point.mutable_regatta()->set_p5_user_speed_tok_s(p5);
  point.mutable_regatta()->set_p95_ttft_ms(ttft);
  point.mutable_regatta()->set_mean_running(running);
}

TEST(UsersAtSpeedTest, TheLargestConcurrencyThatMeetsAllAndWhatTheNextOneMisses) {
  SweepReport sweep;
  AddPoint(1, 100, 99, 50, 1, sweep);
  AddPoint(8, 80, 75, 100, 7.9, sweep);
  AddPoint(64, 55, 49, 900, 63, sweep);
  const UsersAtSpeed fifty = FindUsersAtSpeed(sweep, 50, 2000);
  EXPECT_EQ(fifty.users(), 8u);
  EXPECT_EQ(fifty.limited_by(), "c=64: p5 speed 49.0 tok/s, below 50");
  EXPECT_EQ(FindUsersAtSpeed(sweep, 49, 2000).users(), 64u);
  EXPECT_EQ(FindUsersAtSpeed(sweep, 49, 2000).limited_by(), "");
  EXPECT_EQ(FindUsersAtSpeed(sweep, 49, 800).limited_by(), "c=64: p95 TTFT 900 ms, above 800");
  EXPECT_EQ(FindUsersAtSpeed(sweep, 200, 2000).users(), 0u);
  EXPECT_THAT(FindUsersAtSpeed(sweep, 200, 2000).limited_by(), HasSubstr("c=1: mean speed 100.0"));
}

// A mean that one pair of tokens lifts promises nobody a speed.
TEST(UsersAtSpeedTest, TheSpeedIsThePooledOne) {
  SweepReport sweep;
  AddPoint(2, 4378, 90, 50, 2, sweep);
  sweep.mutable_points(0)->mutable_regatta()->set_user_speed_tok_s(145);
  EXPECT_EQ(FindUsersAtSpeed(sweep, 80, 2000).users(), 2u);
  EXPECT_EQ(FindUsersAtSpeed(sweep, 150, 2000).limited_by(),
            "c=2: mean speed 145.0 tok/s, below 150");
}

TEST(UsersAtSpeedTest, AnswersThatCameWholeHaveNoSpeed) {
  SweepReport sweep;
  AddPoint(2, 0, 0, 0, 2, sweep);
  sweep.mutable_points(0)->clear_streaming_metrics();
  EXPECT_EQ(FindUsersAtSpeed(sweep, 50, 2000).limited_by(),
            "c=2: answers came whole: no token has a time");
}

TEST(UsersAtSpeedTest, RequestsThatWaitOrFailAreNoUsersServed) {
  SweepReport sweep;
  AddPoint(64, 100, 99, 50, 40, sweep);
  EXPECT_EQ(FindUsersAtSpeed(sweep, 50, 2000).users(), 0u);
  EXPECT_THAT(FindUsersAtSpeed(sweep, 50, 2000).limited_by(),
              HasSubstr("40.00 ran on average, below 60.80"));
  sweep.mutable_points(0)->mutable_regatta()->set_mean_running(64);
  EXPECT_EQ(FindUsersAtSpeed(sweep, 50, 2000).users(), 64u);
  // Without a router's Watch the requests in flight stand in.
  sweep.mutable_points(0)->mutable_regatta()->set_mean_running(0);
  sweep.mutable_points(0)->mutable_request_info()->set_avg_num_concurrent_requests(62);
  EXPECT_EQ(FindUsersAtSpeed(sweep, 50, 2000).users(), 64u);
  sweep.mutable_points(0)->mutable_regatta()->set_failed_requests(1);
  EXPECT_EQ(FindUsersAtSpeed(sweep, 50, 2000).limited_by(), "c=64: failed requests: 1");
}

TEST(UsersAtSpeedTest, WhereNothingCompletedThatIsWhatIsMissed) {
  SweepReport sweep;
  AddPoint(1, 0, 0, 0, 0, sweep);
  PointReport& point = *sweep.mutable_points(0);
  point.mutable_request_info()->set_num_requests(0);
  point.mutable_regatta()->set_cancelled_requests(10);
  EXPECT_EQ(FindUsersAtSpeed(sweep, 50, 2000).limited_by(), "c=1: no request completed");
}

TEST(UsersAtSpeedTest, WhoComesByARateOrATraceIsNoUser) {
  SweepReport sweep;
  AddPoint(8, 100, 99, 50, 8, sweep);
  LoadShape& load = *sweep.mutable_points(0)->mutable_regatta()->mutable_load();
  for (const char* arrival : {"poisson", kTraceReplay, kBurst}) {
    load.set_arrival(arrival);
    const UsersAtSpeed users = FindUsersAtSpeed(sweep, 50, 2000);
    EXPECT_EQ(users.users(), 0u) << arrival;
    EXPECT_EQ(users.limited_by(), "") << arrival;
  }
  load.set_arrival(kClosedLoop);
  EXPECT_EQ(FindUsersAtSpeed(sweep, 50, 2000).users(), 8u);
}

// Runs of one load that differ in speed, after those that are there.
void AddRuns(uint32_t concurrency, const std::vector<double>& speeds, const char* role,
             SweepReport& sweep) {
  for (const double speed : speeds) {
    SweepReport one;
    AddPoint(concurrency, speed, speed, 50, concurrency, one);
    PointReport& run = *sweep.add_runs() = one.points(0);
    run.mutable_regatta()->set_search_role(role);
    run.mutable_performance()->set_system_output_throughput_tok_s(concurrency * speed);
  }
  SummarizeRuns(sweep);
}

TEST(UsersAtSpeedTest, MostRunsOfALoadDecideNotTheOneThatIsShown) {
  SweepReport sweep;
  AddRuns(8, {60, 60, 40}, "", sweep);
  AddRuns(10, {49, 49, 48, 60, 61}, "", sweep);
  EXPECT_EQ(FindUsersAtSpeed(sweep, 50, 2000).users(), 8u);
  EXPECT_EQ(FindUsersAtSpeed(sweep, 50, 2000).limited_by(),
            "c=10: mean speed 49.0 tok/s, below 50");
  AddRuns(10, {60, 61}, "", sweep);
  EXPECT_EQ(FindUsersAtSpeed(sweep, 50, 2000).users(), 10u);
}

TEST(UsersAtSpeedTest, ALoadThatWasRefutedIsNotNamedWhateverItsOtherRunsHold) {
  SweepReport sweep;
  AddRuns(8, {60}, kSearchRole, sweep);
  AddRuns(10, {60}, kSearchRole, sweep);
  AddRuns(10, {49, 48, 60}, kConfirmRole, sweep);
  AddRuns(8, {60, 60, 49}, kConfirmRole, sweep);
  AddRuns(10, {60}, kOverloadRole, sweep);
  AddRuns(16, {55}, kOverloadRole, sweep);
  const UsersAtSpeed users = FindUsersAtSpeed(sweep, 50, 2000);
  EXPECT_EQ(users.users(), 8u);
  EXPECT_EQ(users.limited_by(), "c=10: mean speed 49.0 tok/s, below 50");
}

TEST(MissedByMostTest, HalfOfTheRunsDoNotHoldALoad) {
  const Missed held, slow = {CONDITION_SPEED, "slow"}, late = {CONDITION_TTFT, "late"};
  EXPECT_TRUE(MissedByMost({}).empty());
  EXPECT_TRUE(MissedByMost({held, slow, held}).empty());
  EXPECT_EQ(MissedByMost({held, slow}).text, "slow");
  EXPECT_EQ(MissedByMost({held, late, slow}).condition, CONDITION_TTFT);
}

TEST(AdviceOnTest, IsOnTheConditionThatWasMissed) {
  EXPECT_THAT(AdviceOn(CONDITION_SPEED, 1), HasSubstr("lower precision"));
  EXPECT_THAT(AdviceOn(CONDITION_SPEED, 2), HasSubstr("fewer users, more GPUs"));
  EXPECT_THAT(AdviceOn(CONDITION_RUNNING, 2),
              HasSubstr("room for more of them (--max-batch-size)."));
  EXPECT_THAT(AdviceOn(CONDITION_RUNNING, 1), ::testing::EndsWith("--max-time-per-point)."));
  EXPECT_THAT(AdviceOn(CONDITION_COMPLETED, 1), HasSubstr("--request-cancellation-rate"));
  EXPECT_EQ(AdviceOn(CONDITION_NONE, 1), "");
}

}  // namespace
}  // namespace regatta
