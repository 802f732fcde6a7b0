// Which runs of a search are measured again, how often and how long.
#include "orchestrator/search/lengthening.h"

#include <gtest/gtest.h>

#include "orchestrator/search/confirmation.h"
#include "orchestrator/statistics/repeats.h"

namespace regatta {
namespace {

const std::vector<Goal> kGoals = {*MakeGoal("user-speed", 50, {})};

PointReport& Add(uint32_t users, double speed, bool too_short, SweepReport& sweep) {
  PointReport& run = *sweep.add_runs();
  run.mutable_request_info()->set_num_requests(users);
  run.mutable_streaming_metrics()->set_token_output_speed_tok_s(speed);
  RegattaInfo& info = *run.mutable_regatta();
  info.set_search_role(kSearchRole);
  info.set_concurrency(users);
  info.set_p5_user_speed_tok_s(speed);
  info.mutable_offered()->set_mean_running(users);
  if (too_short) info.mutable_offered()->set_too_short("9 requests");
  SummarizeRuns(sweep);
  return run;
}

TEST(LengtheningTest, WhatMayMeetTheGoalIsMeasuredAgain) {
  SweepReport sweep;
  EXPECT_FALSE(SetAsideTooShort(kGoals, sweep));
  Add(4, 60, false, sweep);
  EXPECT_FALSE(SetAsideTooShort(kGoals, sweep));
  Add(8, 60, true, sweep);
  EXPECT_TRUE(SetAsideTooShort(kGoals, sweep));
  EXPECT_EQ(sweep.points_size(), 1);
  EXPECT_EQ(RunsOf(sweep, kSearchRole).size(), 1u);
  EXPECT_FALSE(SetAsideTooShort(kGoals, sweep)) << "it is set aside already";
  Add(8, 60, false, sweep);
  EXPECT_FALSE(SetAsideTooShort(kGoals, sweep));
  EXPECT_EQ(sweep.points_size(), 2);
}

TEST(LengtheningTest, WhatMissesTheGoalAnywayIsNot) {
  SweepReport sweep;
  Add(8, 40, true, sweep);
  EXPECT_FALSE(SetAsideTooShort(kGoals, sweep));
  // Without a bound nobody asks how many ran.
  Add(8, 60, true, sweep);
  EXPECT_FALSE(SetAsideTooShort({{*MakeGoal("throughput", {}, {})}}, sweep));
  EXPECT_TRUE(SetAsideTooShort(kGoals, sweep));
}

TEST(LengtheningTest, EachTimeIsFourTimesAsLongUpToAnEnd) {
  SweepReport sweep;
  EXPECT_EQ(LengthFactor(sweep, 8), 1u);
  for (int again = 1; again <= kMostLengthenings; ++again) {
    Add(8, 60, true, sweep);
    EXPECT_TRUE(SetAsideTooShort(kGoals, sweep));
    EXPECT_EQ(LengthFactor(sweep, 8), 1u << (2 * again));
  }
  PointReport& last = Add(8, 60, true, sweep);
  EXPECT_FALSE(SetAsideTooShort(kGoals, sweep));
  EXPECT_EQ(last.regatta().search_role(), kSearchRole);
  EXPECT_EQ(LengthFactor(sweep, 10), 16u) << "an overload is as long as the load below it";
  EXPECT_EQ(LengthFactor(sweep, 7), 1u);
  Add(10, 40, false, sweep);
  EXPECT_EQ(LengthFactor(sweep, 10), 1u);
}

}  // namespace
}  // namespace regatta
