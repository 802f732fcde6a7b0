// From the runs of a search to an answer, run by run.
#include "orchestrator/search/confirmation.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <map>

namespace regatta {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr Goal kGoal = {Goal::Kind::kUserSpeed, 50, 0};

void AddRun(const std::string& role, uint32_t users, double speed, SweepReport& sweep) {
  PointReport& run = *sweep.add_runs();
  run.mutable_request_info()->set_num_requests(10 * users);
  run.mutable_request_info()->set_avg_num_concurrent_requests(users);
  run.mutable_streaming_metrics()->set_token_output_speed_tok_s(speed);
  run.mutable_performance()->set_output_throughput_per_gpu_tok_s(users * speed);
  RegattaInfo& info = *run.mutable_regatta();
  info.set_search_role(role);
  info.set_concurrency(users);
  info.set_mean_running(users);
  info.set_p5_user_speed_tok_s(speed);
}

// Searched loads and the speeds that were measured there.
SweepReport Searched(const std::map<uint32_t, double>& speeds) {
  SweepReport sweep;
  for (const auto& [users, speed] : speeds) AddRun(kSearchRole, users, speed, sweep);
  return sweep;
}

// Measures what is missing by `speed` until the answer is complete; "confirm 8" for each run.
std::vector<std::string> Complete(const std::function<double(uint32_t users)>& speed,
                                  SweepReport& sweep, Recommendation& answer) {
  std::vector<std::string> measured;
  for (;;) {
    const std::optional<MissingRun> missing = FillAnswer(kGoal, 2, sweep, answer);
    if (!missing || measured.size() > 100) return measured;
    EXPECT_EQ(missing->repeat, RunsOf(sweep, missing->role, missing->concurrency).size() + 1);
    measured.push_back(missing->role + " " + std::to_string(missing->concurrency));
    AddRun(missing->role, missing->concurrency, speed(missing->concurrency), sweep);
  }
}

TEST(ConfirmationTest, TheBestLoadIsConfirmedAndOverloaded) {
  SweepReport sweep = Searched({{1, 90}, {8, 60}, {9, 49}});
  Recommendation answer;
  EXPECT_THAT(Complete([](uint32_t users) { return users > 8 ? 40 : 58; }, sweep, answer),
              ElementsAre("confirm 8", "confirm 8", "overload 10", "overload 16"));
  EXPECT_EQ(answer.goal(), "user-speed");
  EXPECT_EQ(answer.concurrency(), 8u);
  EXPECT_DOUBLE_EQ(answer.predicted().user_speed_tok_s(), 60);
  EXPECT_DOUBLE_EQ(answer.confirmed().user_speed_tok_s(), 58);
  EXPECT_EQ(answer.confirmed().runs(), 2u);
  EXPECT_THAT(answer.limited_by(), HasSubstr("c=9: mean speed 49.0"));
  ASSERT_EQ(answer.overload_size(), 2);
  EXPECT_THAT(answer.overload(1).missed(), HasSubstr("mean speed 40.0"));
}

TEST(ConfirmationTest, WhatFreshPromptsRefuteGivesWayToTheNextLoad) {
  SweepReport sweep = Searched({{1, 90}, {6, 70}, {8, 60}});
  Recommendation answer;
  EXPECT_THAT(
      Complete([](uint32_t users) { return users > 6 ? 40 : 58; }, sweep, answer),
      ElementsAre("confirm 8", "confirm 8", "confirm 6", "confirm 6", "overload 8", "overload 12"));
  EXPECT_EQ(answer.concurrency(), 6u);
  ASSERT_EQ(answer.refuted_size(), 1);
  EXPECT_EQ(answer.refuted(0).concurrency(), 8u);
  EXPECT_EQ(answer.limited_by(), "c=8: mean speed 40.0 tok/s, below 50 (with fresh prompts)");
  EXPECT_EQ(answer.limited_by_condition(), CONDITION_SPEED);
}

TEST(ConfirmationTest, ASearchThatIsRefutedThriceHasNoAnswer) {
  SweepReport sweep = Searched({{1, 90}, {2, 80}, {4, 70}, {8, 60}});
  Recommendation answer;
  EXPECT_EQ(Complete([](uint32_t) { return 40; }, sweep, answer).size(), 6u);
  EXPECT_EQ(answer.concurrency(), 0u);
  EXPECT_EQ(answer.refuted_size(), kMostConfirmations);
  EXPECT_THAT(answer.limited_by(), HasSubstr("confirmed no load"));
  EXPECT_FALSE(answer.has_confirmed());
}

TEST(ConfirmationTest, AGoalThatNoLoadMeetsIsToldByTheSmallest) {
  SweepReport sweep = Searched({{1, 30}, {2, 20}});
  Recommendation answer;
  EXPECT_FALSE(FillAnswer(kGoal, 2, sweep, answer).has_value());
  EXPECT_EQ(answer.concurrency(), 0u);
  EXPECT_EQ(answer.limited_by(), "c=1: mean speed 30.0 tok/s, below 50");
  EXPECT_EQ(answer.limited_by_condition(), CONDITION_SPEED);
}

TEST(ConfirmationTest, OverloadsAreLargerWholeLoads) {
  EXPECT_THAT(OverloadsOf(1), ElementsAre(2));
  EXPECT_THAT(OverloadsOf(2), ElementsAre(3, 4));
  EXPECT_THAT(OverloadsOf(13), ElementsAre(16, 26));
  EXPECT_THAT(OverloadsOf(100), ElementsAre(125, 200));
}

TEST(ConfirmationTest, RunsAreToldApartByRoleAndLoad) {
  SweepReport sweep;
  const auto add = [&](const char* role, uint32_t users) {
    RegattaInfo& info = *sweep.add_runs()->mutable_regatta();
    info.set_search_role(role);
    info.set_concurrency(users);
  };
  add(kSearchRole, 1);
  add(kConfirmRole, 2);
  add(kSearchRole, 2);
  add("", 2);
  const auto found = RunsOf(sweep, kSearchRole);
  ASSERT_EQ(found.size(), 2u);
  EXPECT_EQ(found[0], &sweep.runs(0));
  EXPECT_EQ(found[1], &sweep.runs(2));
  EXPECT_EQ(RunsOf(sweep, kConfirmRole, 2).size(), 1u);
  EXPECT_TRUE(RunsOf(sweep, kConfirmRole, 1).empty());
  EXPECT_EQ(RunsOf(sweep, "").size(), 1u);
}

}  // namespace
}  // namespace regatta
