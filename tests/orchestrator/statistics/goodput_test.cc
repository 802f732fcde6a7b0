// Objectives, the requests that meet them, and users at a speed.
#include "orchestrator/statistics/goodput.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "orchestrator/statistics/users_at_speed.h"

namespace regatta {
namespace {

using ::testing::HasSubstr;

RequestRecord Record(double scheduled, double sent, double first, double last, uint32_t output) {
  RequestRecord record;
  record.set_scheduled_ms(scheduled);
  record.set_sent_ms(sent);
  record.set_first_token_ms(first);
  record.set_last_token_ms(last);
  record.set_output_tokens(output);
  return record;
}

TEST(ParseObjectivesTest, TakesTheSpellingsOfVllmAndAiperf) {
  const auto vllm = ParseObjectives({"ttft:500", "tpot:20", "e2el:1e4"});
  const auto aiperf =
      ParseObjectives({"time_to_first_token:500 inter_token_latency:20,request_latency:10000"});
  ASSERT_TRUE(vllm.ok()) << vllm.status();
  ASSERT_TRUE(aiperf.ok()) << aiperf.status();
  ASSERT_EQ(vllm->size(), 3u);
  ASSERT_EQ(aiperf->size(), 3u);
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ((*vllm)[i].SerializeAsString(), (*aiperf)[i].SerializeAsString());
  }
  EXPECT_TRUE(ParseObjectives({})->empty());
}

TEST(ParseObjectivesTest, ErrorsNameThePartAndWhatItCouldBe) {
  const auto message = [](const char* text) {
    const auto objectives = ParseObjectives({text});
    EXPECT_EQ(objectives.status().code(), absl::StatusCode::kInvalidArgument) << text;
    return std::string(objectives.status().message());
  };
  EXPECT_THAT(message("ttft:500 itl:3"), HasSubstr("'itl:3': 'itl' is none of ttft, tpot, e2el"));
  EXPECT_THAT(message("ttft"), HasSubstr("'' is not a number of milliseconds above 0"));
  EXPECT_THAT(message("ttft:-1"), HasSubstr("'-1' is not"));
  EXPECT_THAT(message("ttft:nan"), HasSubstr("'nan' is not"));
  EXPECT_THAT(message("ttft:1:2"), HasSubstr("is not"));
  EXPECT_THAT(message("ttft:5 ttft:6"), HasSubstr("a limit of ttft already, 5 ms"));
}

TEST(GoodputTest, EveryObjectiveCountsFromTheSchedule) {
  std::vector<RequestRecord> requests = {
      Record(0, 0, 100, 200, 11),   // good
      Record(0, 0, 101, 200, 11),   // first token too late
      Record(0, 0, 50, 200, 11),    // 15 ms per token
      Record(0, 90, 150, 200, 11),  // sent late: 150 ms from the schedule
      Record(0, 0, 100, 100, 1),    // one token has no TPOT to miss
      Record(0, 0, 10, 20, 11)};    // failed
  requests.back().set_error("UNAVAILABLE: gone");
  Goodput goodput;
  const auto objectives = ParseObjectives({"ttft:100 tpot:10"});
  for (const Objective& objective : *objectives) *goodput.add_objectives() = objective;
  FillGoodput(requests, 2, goodput);
  EXPECT_EQ(goodput.good_requests(), 2u);
  EXPECT_DOUBLE_EQ(goodput.good_fraction(), 2.0 / 6);
  EXPECT_DOUBLE_EQ(goodput.request_goodput_req_s(), 1);
  EXPECT_DOUBLE_EQ(goodput.output_goodput_tok_s(), 6);
}

void AddPoint(uint32_t concurrency, double mean, double p5, double ttft, double running,
              SweepReport& sweep) {
  PointReport& point = *sweep.add_points();
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

}  // namespace
}  // namespace regatta
