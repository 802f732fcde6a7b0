// A recommendation whose loads did not stay the same.
#include "orchestrator/search/answer_drift.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

#include "orchestrator/statistics/search_role.h"

namespace regatta {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

void AddMeasured(const char* role, uint32_t users, double speed, SweepReport& sweep) {
  PointReport& run = *sweep.add_runs();
  run.mutable_streaming_metrics()->set_token_output_speed_tok_s(speed);
  run.mutable_regatta()->set_concurrency(users);
  run.mutable_regatta()->set_search_role(role);
}

LoadFigures Means(uint32_t users, double speed, double half_width) {
  LoadFigures figures;
  figures.set_concurrency(users);
  figures.set_user_speed_tok_s(speed);
  Interval& interval = *figures.add_intervals();
  interval.set_metric("user_speed_tok_s");
  interval.set_low(speed - half_width);
  interval.set_high(speed + half_width);
  return figures;
}

SweepReport Confirmed() {
  SweepReport sweep;
  AddMeasured(kSearchRole, 8, 100, sweep);
  AddMeasured(kSearchRole, 10, 90, sweep);
  *sweep.mutable_recommendation()->mutable_confirmed() = Means(8, 98, 5);
  *sweep.mutable_recommendation()->add_refuted() = Means(10, 85, 5);
  return sweep;
}

TEST(AnswerDriftTest, AMachineThatStaysTheSameIsNotMentioned) {
  SweepReport sweep = Confirmed();
  *sweep.mutable_recommendation()->mutable_applied()->mutable_tuned() = Means(8, 92, 5);
  EXPECT_EQ(AnswerDrift(sweep), "");
  EXPECT_EQ(AnswerDrift(SweepReport()), "");
}

TEST(AnswerDriftTest, ConfirmedAndRefutedLoadsAreHeldAgainstTheSearch) {
  SweepReport sweep = Confirmed();
  *sweep.mutable_recommendation()->mutable_refuted(0) = Means(10, 45, 5);
  EXPECT_THAT(AnswerDrift(sweep),
              AllOf(HasSubstr("concurrency 10 had 90.0 tok/s per user in the search, 45.0 with "
                              "fresh prompts (-50.0 %)"),
                    Not(HasSubstr("concurrency 8"))));
  *sweep.mutable_recommendation()->mutable_refuted(0) = Means(10, 45, 60);
  EXPECT_EQ(AnswerDrift(sweep), "") << "its runs differ as much from one another";
}

SweepReport ConfirmedBy(const std::vector<double>& speeds) {
  SweepReport sweep = Confirmed();
  for (const double speed : speeds) AddMeasured(kConfirmRole, 8, speed, sweep);
  *sweep.mutable_recommendation()->mutable_confirmed() = Means(8, 100, 80);
  return sweep;
}

TEST(AnswerDriftTest, AMachineThatSlowsDownMeanwhileIsSeenInTheOrderOfTheRuns) {
  EXPECT_THAT(AnswerDrift(ConfirmedBy({201, 201, 200, 168, 119})),
              HasSubstr("concurrency 8 had 201.0 tok/s per user in the first runs with fresh "
                        "prompts, 143.5 in the last of them (-28.6 %)"));
  EXPECT_THAT(AnswerDrift(ConfirmedBy({100, 100, 150, 150})), HasSubstr("(+50.0 %)"));
  EXPECT_EQ(AnswerDrift(ConfirmedBy({100, 100, 150})), "") << "one run against another";
  EXPECT_EQ(AnswerDrift(ConfirmedBy({201, 201, 200, 190, 189})), "") << "less than is noticed";
  EXPECT_EQ(AnswerDrift(ConfirmedBy({201, 119, 200, 140, 90})), "") << "noise";
  EXPECT_EQ(AnswerDrift(ConfirmedBy({100})), "");
}

TEST(AnswerDriftTest, LimitsDoNotExplainAnotherMachine) {
  SweepReport sweep = Confirmed();
  *sweep.mutable_recommendation()->mutable_applied()->mutable_tuned() = Means(8, 252.84, 5);
  EXPECT_THAT(AnswerDrift(sweep),
              AllOf(HasSubstr("concurrency 8 had 98.0 tok/s per user with fresh prompts, 252.8 "
                              "under the tuned limits (+158.0 %)"),
                    HasSubstr("more than chance or limits explain")));
}

}  // namespace
}  // namespace regatta
