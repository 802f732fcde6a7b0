// Objectives and the requests that meet them.
#include "orchestrator/statistics/goodput.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

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

}  // namespace
}  // namespace regatta
