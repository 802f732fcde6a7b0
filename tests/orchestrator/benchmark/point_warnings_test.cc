// When a point's figures carry a warning.
#include "orchestrator/benchmark/point_warnings.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace regatta {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

TEST(WarningsTest, ACleanPointHasNone) {
  PointReport point;
  point.mutable_regatta()->set_concurrency(4);
  point.mutable_request_info()->set_avg_num_concurrent_requests(3.9);
  EXPECT_THAT(WarningsOf(point, {}), IsEmpty());
}

TEST(WarningsTest, EveryConditionIsSaid) {
  PointReport point;
  RegattaInfo& info = *point.mutable_regatta();
  info.set_concurrency(8);
  info.set_issued_requests(30);
  info.set_cut_short(true);
  info.set_length_mismatches(3);
  info.set_asked_output_length(64);
  info.set_preemptions(5);
  point.mutable_request_info()->set_num_requests(30);
  point.mutable_request_info()->set_avg_num_concurrent_requests(4);
  point.mutable_request_info()->set_avg_output_length(60);
  EXPECT_THAT(WarningsOf(point, {.asked_requests = 80, .reused_prompts = 6, .max_time_s = 12}),
              ElementsAre(HasSubstr("cut short after 12 s (--max-time-per-point): 30 of 80"),
                          HasSubstr("6 prompts were sent before"),
                          HasSubstr("3 requests have another output length"),
                          HasSubstr("4.0 requests were in flight on average, 8 were asked"),
                          HasSubstr("5 sequences were recomputed")));
}

TEST(WarningsTest, TheSteadyWindowSaysWhetherTheConcurrencyWasReached) {
  PointReport point;
  RegattaInfo& info = *point.mutable_regatta();
  info.set_concurrency(100);
  point.mutable_request_info()->set_num_requests(1000);
  point.mutable_request_info()->set_avg_num_concurrent_requests(80);  // ramp and drain
  info.mutable_steady_window()->set_found(true);
  info.mutable_steady_window()->set_avg_num_concurrent_requests(99);
  EXPECT_THAT(WarningsOf(point, {}), IsEmpty());
  info.mutable_steady_window()->set_avg_num_concurrent_requests(94);
  EXPECT_THAT(WarningsOf(point, {}),
              ElementsAre(HasSubstr("94.0 requests were in flight on average in the steady")));
  info.clear_steady_window();
  info.mutable_offered()->set_mean_running(99);  // while all users were there
  EXPECT_THAT(WarningsOf(point, {}), IsEmpty());
}

// Of `sent` requests a second, asked and due 30, whose latency p99 is 20 ms from when they were
// sent.
PointReport AtARate(double sent, double due_p99_ms) {
  PointReport point;
  RegattaInfo& info = *point.mutable_regatta();
  info.mutable_load()->set_arrival("poisson");
  info.mutable_load()->set_request_rate(30);
  info.set_scheduled_rate(30);
  info.mutable_latency_scheduled_ms()->set_p99(due_p99_ms);
  point.mutable_performance()->mutable_request_latency_percentiles_ms()->set_p99(20);
  point.mutable_request_info()->set_num_requests(100);
  point.mutable_world_info()->set_issue_rate(sent);
  return point;
}

TEST(WarningsTest, AnOpenLoopSaysWhatWaitedInTheClient) {
  EXPECT_THAT(WarningsOf(AtARate(29.5, 21), {}), IsEmpty());
  PointReport point = AtARate(12.25, 3178);
  EXPECT_THAT(
      WarningsOf(point, {}),
      ElementsAre("12.2 requests a second were sent, 30.0 were due: requests waited in "
                  "the client: latency p99 is 3178 ms from when they were due, which is what "
                  "users wait, 20 ms from when they were sent"));
  point.mutable_regatta()->set_concurrency(2);
  EXPECT_THAT(
      WarningsOf(point, {}),
      ElementsAre(HasSubstr("due: requests waited in the client for places (--concurrency): ")));
  point.mutable_regatta()->mutable_client()->mutable_send_lag_ms()->set_p99(3170);  // its own
  EXPECT_THAT(WarningsOf(point, {}), ElementsAre(HasSubstr("waited in the client: latency")));
}

// 24 drawn gaps came to 27.1 a second, and every request was sent when it was due.
TEST(WarningsTest, DrawnGapsOfAnotherRateAreNoWait) {
  PointReport point = AtARate(27.1, 22);  // one was sent 2 ms late
  point.mutable_regatta()->set_scheduled_rate(27.12);
  EXPECT_THAT(WarningsOf(point, {}), IsEmpty());
  point.mutable_regatta()->set_concurrency(8);
  EXPECT_THAT(WarningsOf(point, {}), IsEmpty());
}

TEST(WarningsTest, ALittleWaitIsBlamedOnPlacesOnlyWhereTheyAreLimited) {
  PointReport point = AtARate(27, 26);
  EXPECT_THAT(WarningsOf(point, {}), IsEmpty());
  point.mutable_regatta()->set_concurrency(2);
  EXPECT_THAT(WarningsOf(point, {}), ElementsAre(HasSubstr("for places (--concurrency)")));
  point.mutable_regatta()->mutable_client()->mutable_send_lag_ms()->set_p99(6);
  EXPECT_THAT(WarningsOf(point, {}), IsEmpty()) << "the client itself was late";
}

TEST(WarningsTest, WithoutUsageMessagesAreCounted) {
  PointReport point;
  point.mutable_regatta()->set_concurrency(1);
  point.mutable_regatta()->set_untold_token_counts(40);
  point.mutable_request_info()->set_num_requests(40);
  point.mutable_request_info()->set_avg_num_concurrent_requests(1);
  EXPECT_THAT(WarningsOf(point, {}),
              ElementsAre(HasSubstr("of 40 requests the server did not tell its token counts")));
}

TEST(WarningsTest, AnOpenLoopThatCaughtUpAfterAStallSaysWhatUsersWaited) {
  PointReport point;
  RegattaInfo& info = *point.mutable_regatta();
  info.mutable_load()->set_arrival("constant");
  info.mutable_load()->set_request_rate(100);
  point.mutable_world_info()->set_issue_rate(100);
  point.mutable_request_info()->set_num_requests(10'000);
  point.mutable_performance()->mutable_request_latency_percentiles_ms()->set_p99(1);
  info.mutable_latency_scheduled_ms()->set_p99(11);
  EXPECT_THAT(WarningsOf(point, {}), IsEmpty());
  info.mutable_latency_scheduled_ms()->set_p99(8900);
  EXPECT_THAT(WarningsOf(point, {}), ElementsAre(HasSubstr("latency p99 is 8900 ms from when they "
                                                           "were due, which is what users wait, 1 "
                                                           "ms from when they were sent")));
  info.mutable_load()->set_arrival("trace");
  info.mutable_load()->clear_request_rate();
  EXPECT_EQ(WarningsOf(point, {}).size(), 1u);
  info.mutable_load()->set_arrival("burst");  // all are due at once, and wait for a place
  EXPECT_THAT(WarningsOf(point, {}), IsEmpty());
}

TEST(WarningsTest, AMeanSpeedThatAFewPairsOfTokensMade) {
  PointReport point;
  point.mutable_streaming_metrics()->set_token_output_speed_tok_s(150);
  point.mutable_regatta()->set_user_speed_tok_s(100);
  EXPECT_THAT(WarningsOf(point, {}), IsEmpty());
  point.mutable_streaming_metrics()->set_token_output_speed_tok_s(1861.8);
  EXPECT_THAT(WarningsOf(point, {}),
              ElementsAre(HasSubstr("1861.8 tok/s, is 18.6 times the 100.0")));
}

TEST(WarningsTest, AnswersThatCameWhole) {
  PointReport point;
  point.mutable_request_info()->set_num_requests(80);
  point.mutable_streaming_metrics();
  RegattaInfo& info = *point.mutable_regatta();
  info.set_whole_answers(4);
  EXPECT_THAT(WarningsOf(point, {}), IsEmpty());
  info.set_whole_answers(5);
  EXPECT_THAT(WarningsOf(point, {}),
              ElementsAre(AllOf(HasSubstr("of 5 of 80 requests came whole"),
                                HasSubstr("as if they had been decoded in no time"))));
  info.set_whole_answers(80);
  point.clear_streaming_metrics();
  EXPECT_THAT(WarningsOf(point, {}),
              ElementsAre(AllOf(HasSubstr("of 80 of 80 requests came whole"),
                                HasSubstr("there is no TTFT, TPOT, decoding speed"))));
}

TEST(WarningsTest, AnotherLayoutWhileItWasMeasured) {
  PointReport point;
  point.mutable_regatta()->set_layout_change("tp4 -> tp2-dp2");
  EXPECT_THAT(WarningsOf(point, {}),
              ElementsAre("layout changed during the point: tp4 -> tp2-dp2"));
}

TEST(WarningsTest, PromptsThatTheServerCountsOtherwise) {
  PointReport point;
  point.mutable_request_info()->set_avg_input_length(7);
  point.mutable_regatta()->set_asked_input_length(39);
  EXPECT_THAT(WarningsOf(point, {}), IsEmpty());
  point.mutable_regatta()->set_prompt_mismatches(12);
  EXPECT_THAT(WarningsOf(point, {}),
              ElementsAre(AllOf(HasSubstr("of 12 requests the server counts another prompt length"),
                                HasSubstr("(mean 7.0, sent 39.0)"))));
}

TEST(WarningsTest, WhyLessWasSentThanAsked) {
  PointReport point;
  RegattaInfo& info = *point.mutable_regatta();
  info.set_issued_requests(4);
  EXPECT_THAT(WarningsOf(point, {.asked_requests = 40}),
              ElementsAre(HasSubstr("4 of 40 requests were sent: sessions end")));
  info.set_cut_short(true);
  EXPECT_THAT(WarningsOf(point, {.asked_requests = 40, .stalled = true}),
              ElementsAre(HasSubstr("no token of any request came any more")));
  EXPECT_THAT(WarningsOf(point, {.asked_requests = 40, .interrupted = true}),
              ElementsAre("interrupted: 4 of 40 requests"));
}

TEST(WarningsTest, WhatACutSweepLeftInTheCache) {
  PointReport point;
  EXPECT_THAT(WarningsOf(point, {.prompts_sent_before = true}), IsEmpty());
  point.mutable_regatta()->set_prefix_cache(true);
  EXPECT_THAT(WarningsOf(point, {.prompts_sent_before = true}),
              ElementsAre(HasSubstr("may have left prompts of this point")));
}

TEST(WarningsTest, EarlyEndsCountsCacheAndSlowGpus) {
  PointReport point;
  RegattaInfo& info = *point.mutable_regatta();
  info.set_length_mismatches(3);
  info.set_early_stops(2);
  info.set_token_count_mismatches(7);
  info.set_cached_prompt_fraction(0.125);
  for (const bool used : {true, false}) {
    GpuEnergy& gpu = *info.mutable_energy()->add_gpus();
    gpu.set_index(used ? 0 : 1);
    gpu.set_used(used);
    gpu.set_throttled_fraction(0.5);
    gpu.add_throttle_reasons("power cap");
  }
  EXPECT_THAT(WarningsOf(point, {}),
              ElementsAre(HasSubstr("asked 0.0); 2 ended early: the server"),
                          HasSubstr("of 7 requests the server counts other tokens"),
                          HasSubstr("12.5 % of the prompt tokens came from the server's prefix"),
                          "GPU 0 was slowed down in 50 % of the samples: power cap"));
  // Ends are the model's where they are heeded, and the cache may be meant.
  info.set_token_count_mismatches(0);
  info.clear_energy();
  info.set_prefix_cache(true);
  EXPECT_THAT(WarningsOf(point, {.exact_lengths = false}), IsEmpty());
}

}  // namespace
}  // namespace regatta
