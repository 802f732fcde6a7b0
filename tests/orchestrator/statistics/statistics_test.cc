// Metrics of a load point against values computed by hand.
#include "orchestrator/statistics/statistics.h"

#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "orchestrator/statistics/user_speed.h"

namespace regatta {
namespace {

RequestRecord Record(double sent, double first, double last, uint32_t input, uint32_t output) {
  RequestRecord record;
  record.set_sent_ms(sent);
  record.set_first_token_ms(first);
  record.set_last_token_ms(last);
  record.set_input_tokens(input);
  record.set_output_tokens(output);
  record.set_asked_output_tokens(output);
  return record;
}

PointReport StreamingContext(uint32_t world_size) {
  PointReport context;
  context.mutable_world_info()->set_world_size(world_size);
  context.mutable_regatta()->set_streaming(true);
  return context;
}

// Two requests, 1000 ms in all: A 0..600 ms with 11 tokens, B 200..1000 ms with 21 tokens.
PointSamples TwoRequests() {
  PointSamples samples;
  samples.requests = {Record(0, 100, 600, 10, 11), Record(200, 400, 1000, 30, 21)};
  samples.requests[0].set_deltas(11);
  samples.requests[1].set_deltas(10);
  samples.AddFirstMessage(100, 1);
  samples.AddMessage(150, 50, 1);
  samples.AddFirstMessage(400, 1);
  samples.AddMessage(460, 60, 2);
  return samples;
}

TEST(CompletePointTest, PerformanceByHand) {
  const PointReport report = CompletePoint(StreamingContext(2), TwoRequests());
  const Performance& performance = report.performance();
  EXPECT_DOUBLE_EQ(performance.total_latency_ms(), 1000);
  EXPECT_DOUBLE_EQ(performance.avg_request_latency_ms(), 700);
  EXPECT_DOUBLE_EQ(performance.request_throughput_req_s(), 2);
  EXPECT_DOUBLE_EQ(performance.system_output_throughput_tok_s(), 32);
  EXPECT_DOUBLE_EQ(performance.system_total_throughput_tok_s(), 72);
  EXPECT_DOUBLE_EQ(performance.output_throughput_per_gpu_tok_s(), 16);
  EXPECT_DOUBLE_EQ(performance.output_throughput_per_user_tok_s(), (11 / 0.6 + 21 / 0.8) / 2);
  EXPECT_DOUBLE_EQ(performance.request_latency_percentiles_ms().p50(), 700);
  EXPECT_EQ(report.request_info().num_requests(), 2u);
  EXPECT_DOUBLE_EQ(report.request_info().avg_num_concurrent_requests(), 1.4);
  EXPECT_DOUBLE_EQ(report.request_info().avg_input_length(), 20);
  EXPECT_DOUBLE_EQ(report.request_info().avg_output_length(), 16);
  EXPECT_DOUBLE_EQ(report.world_info().issue_rate(), 5);  // one gap of 200 ms
}

TEST(CompletePointTest, TheRateThatTheScheduleHadIsKept) {
  PointSamples samples = TwoRequests();
  samples.requests[0].set_scheduled_ms(0);
  samples.requests[1].set_scheduled_ms(100);
  PointReport context = StreamingContext(2);
  EXPECT_EQ(CompletePoint(context, samples).regatta().scheduled_rate(), 0) << "a closed loop";
  context.mutable_regatta()->mutable_load()->set_request_rate(20);
  EXPECT_DOUBLE_EQ(CompletePoint(context, samples).regatta().scheduled_rate(), 10);
  samples.requests[0].clear_scheduled_ms();
  EXPECT_EQ(CompletePoint(context, samples).regatta().scheduled_rate(), 0) << "half a schedule";
}

// sorted[int(n * p)] of 100, 200, 300, 400 ms; the one of a single token counts with 0.
TEST(CompletePointTest, TrtllmBenchsProtocolHasItsPercentiles) {
  PointSamples samples;
  for (int i = 1; i <= 4; ++i) samples.requests.push_back(Record(0, 50, 100 * i, 8, i));
  PointReport context = StreamingContext(1);
  context.mutable_regatta()->set_protocol("trtllm-bench");
  const PointReport report = CompletePoint(context, samples);
  const Percentiles& latency = report.performance().request_latency_percentiles_ms();
  EXPECT_DOUBLE_EQ(latency.p50(), 300);  // sorted[2]
  EXPECT_DOUBLE_EQ(latency.p95(), 400);
  EXPECT_DOUBLE_EQ(latency.minimum(), 100);
  EXPECT_DOUBLE_EQ(report.streaming_metrics().tpot_percentiles().minimum(), 0);
  const double mean = (0 + 150.0 / 1 + 250.0 / 2 + 350.0 / 3) / 4;
  EXPECT_DOUBLE_EQ(report.streaming_metrics().avg_tpot_ms(), mean);
  const PointReport ours = CompletePoint(StreamingContext(1), samples);
  EXPECT_DOUBLE_EQ(ours.performance().request_latency_percentiles_ms().p50(), 250);
  EXPECT_DOUBLE_EQ(ours.streaming_metrics().avg_tpot_ms(), mean * 4 / 3);
}

TEST(CompletePointTest, StreamingMetricsByHand) {
  const PointReport report = CompletePoint(StreamingContext(1), TwoRequests());
  const StreamingMetrics& metrics = report.streaming_metrics();
  EXPECT_DOUBLE_EQ(metrics.avg_ttft_ms(), 150);
  EXPECT_DOUBLE_EQ(metrics.avg_tpot_ms(), (50.0 + 30.0) / 2);
  EXPECT_DOUBLE_EQ(metrics.token_output_speed_tok_s(), (20 + 20 / 0.6) / 2);
  EXPECT_DOUBLE_EQ(metrics.ttft_percentiles().maximum(), 200);
  EXPECT_DOUBLE_EQ(metrics.gen_tps_percentiles().minimum(), 20);
  EXPECT_DOUBLE_EQ(report.regatta().user_speed_tok_s(), (10 + 20) / (0.5 + 0.6));
  EXPECT_DOUBLE_EQ(report.regatta().p95_ttft_ms(), 195);
  EXPECT_NEAR(report.regatta().p5_user_speed_tok_s(), 20 + 0.05 * (20 / 0.6 - 20), 1e-9);
  EXPECT_NEAR(report.regatta().itl_ms().average(), (50 + 30 + 30) / 3.0, 1e-5);
  EXPECT_DOUBLE_EQ(report.regatta().icl_ms().average(), 55);
  EXPECT_DOUBLE_EQ(report.regatta().peak_output_throughput_tok_s(), 5);
  EXPECT_DOUBLE_EQ(report.regatta().delta_messages(), 21);
}

// Ten answers of three tokens, 10 ms apart; of two the last tokens came with the one before them.
TEST(CompletePointTest, SpeedOfAUserIsOfAllTokensOverAllTime) {
  PointSamples samples;
  for (int i = 0; i < 10; ++i) samples.requests.push_back(Record(0, 50, 70, 8, 3));
  samples.requests[3].set_last_token_ms(50.022);
  samples.requests[7].set_last_token_ms(50);
  const PointReport report = CompletePoint(StreamingContext(1), samples);
  const double pooled = 20 / (0.16 + 22e-6);
  EXPECT_DOUBLE_EQ(report.regatta().user_speed_tok_s(), pooled);
  EXPECT_DOUBLE_EQ(UserSpeed(report), pooled);
  // trtllm-bench's, under its key: of the requests that have one.
  EXPECT_NEAR(report.streaming_metrics().token_output_speed_tok_s(), (8 * 100 + 2 / 22e-6) / 9,
              1e-3);
}

// One of ten is twice as slow. The 5 % quantile is 0.45 of the way from it to the next one, with
// and without the request that had all of its tokens at once.
TEST(CompletePointTest, TokensThatComeAtOnceAreAmongTheFastest) {
  PointSamples samples;
  for (int i = 0; i < 9; ++i) samples.requests.push_back(Record(0, 50, 70, 8, 3));
  samples.requests.push_back(Record(0, 50, 90, 8, 3));
  EXPECT_NEAR(CompletePoint(StreamingContext(1), samples).regatta().p5_user_speed_tok_s(),
              50 + 0.45 * 50, 1e-9);
  for (int i = 0; i < 10; ++i) samples.requests.push_back(Record(0, 50, 50, 8, 3));
  EXPECT_NEAR(CompletePoint(StreamingContext(1), samples).regatta().p5_user_speed_tok_s(),
              50 + 0.95 * 50, 1e-9);
}

// A proxy that buffers hands over 32 tokens within the 0.1 ms that it takes to send them.
TEST(CompletePointTest, AnswersThatCameWholeSayNothingOfTheirTokens) {
  PointSamples samples;
  for (int i = 0; i < 5; ++i) samples.requests.push_back(Record(0, 400, 400.1, 8, 32));
  for (int i = 0; i < 4; ++i) samples.requests.push_back(Record(0, 50, 400, 8, 32));
  samples.requests.push_back(Record(0, 400, 400, 8, 1));  // as whole as any single token
  PointReport context = StreamingContext(1);
  Objective& objective = *context.mutable_regatta()->mutable_goodput()->add_objectives();
  objective.set_metric("tpot");
  objective.set_limit_ms(1);
  const PointReport whole = CompletePoint(context, samples);
  EXPECT_EQ(whole.regatta().whole_answers(), 5u);
  EXPECT_FALSE(whole.has_streaming_metrics());
  EXPECT_FALSE(whole.regatta().has_user_speed_tok_s());
  EXPECT_FALSE(whole.regatta().has_goodput());
  EXPECT_FALSE(whole.regatta().has_icl_ms());
  EXPECT_DOUBLE_EQ(UserSpeed(whole), whole.performance().output_throughput_per_user_tok_s());
  EXPECT_TRUE(SpeedIsWithContext(whole));
  objective.set_metric("e2el");  // which needs no time of a token
  objective.set_limit_ms(400.05);
  EXPECT_EQ(CompletePoint(context, samples).regatta().goodput().good_requests(), 5u);
  samples.requests.push_back(Record(0, 50, 400, 8, 32));
  const PointReport half = CompletePoint(context, samples);
  EXPECT_TRUE(half.has_streaming_metrics());
  EXPECT_FALSE(SpeedIsWithContext(half));
}

TEST(UserSpeedTest, ResultsWithoutItHaveTheMean) {
  PointReport report;
  report.mutable_streaming_metrics()->set_token_output_speed_tok_s(120);
  EXPECT_EQ(UserSpeed(report), 120);
  EXPECT_EQ(DecodingSpeed(report), 120);
  report.mutable_regatta()->set_user_speed_tok_s(100);
  EXPECT_EQ(UserSpeed(report), 100);
  PointReport whole;
  whole.mutable_performance()->set_output_throughput_per_user_tok_s(30);
  EXPECT_EQ(UserSpeed(whole), 30);
  EXPECT_EQ(DecodingSpeed(whole), 0);
}

TEST(CompletePointTest, WithoutStreamingThereAreNoStreamingMetrics) {
  const PointReport report = CompletePoint(PointReport(), TwoRequests());
  EXPECT_FALSE(report.has_streaming_metrics());
  EXPECT_DOUBLE_EQ(report.performance().total_latency_ms(), 1000);
}

TEST(CompletePointTest, OneTokenHasNeitherTpotNorSpeed) {
  PointSamples samples = TwoRequests();
  samples.requests.push_back(Record(0, 300, 300, 10, 1));
  const PointReport report = CompletePoint(StreamingContext(1), samples);
  EXPECT_DOUBLE_EQ(report.streaming_metrics().avg_ttft_ms(), 200);
  EXPECT_DOUBLE_EQ(report.streaming_metrics().avg_tpot_ms(), 40);
}

TEST(CompletePointTest, TheMostFrequentErrorsAreKept) {
  PointSamples samples = TwoRequests();
  for (int kind = 0; kind < 50; ++kind) {
    RequestRecord failed = Record(500, 0, 5000, 1000, 0);
    failed.set_error(absl::StrCat("UNAVAILABLE: port ", kind));
    samples.requests.insert(samples.requests.end(), kind == 40 ? 3 : 1, failed);
  }
  const PointReport report = CompletePoint(StreamingContext(1), samples);
  EXPECT_EQ(report.regatta().failed_requests(), 52u);
  EXPECT_EQ(report.regatta().errors_size(), 21);
  EXPECT_EQ(report.regatta().errors().at("UNAVAILABLE: port 40"), 3u);
  EXPECT_EQ(report.regatta().errors().at("others, of 30 more kinds: see requests.jsonl"), 30u);
}

TEST(CompletePointTest, FailedRequestsAreCountedAndEnterNoFigure) {
  PointSamples samples = TwoRequests();
  RequestRecord failed = Record(500, 0, 5000, 1000, 0);
  failed.set_error("UNAVAILABLE: group 0 was fenced");
  samples.requests.push_back(failed);
  const PointReport report = CompletePoint(StreamingContext(1), samples);
  EXPECT_EQ(report.regatta().failed_requests(), 1u);
  EXPECT_EQ(report.regatta().issued_requests(), 3u);
  EXPECT_EQ(report.regatta().errors().at("UNAVAILABLE: group 0 was fenced"), 1u);
  EXPECT_EQ(report.request_info().num_requests(), 2u);
  EXPECT_DOUBLE_EQ(report.performance().total_latency_ms(), 1000);
  EXPECT_DOUBLE_EQ(report.dataset().max_isl(), 30);
}

TEST(CompletePointTest, LengthsPreemptionsCacheAndAnswers) {
  PointSamples samples = TwoRequests();
  samples.requests[0].set_asked_output_tokens(12);
  samples.requests[0].set_preemptions(2);
  samples.requests[0].set_correct(true);
  samples.requests[1].set_cached_tokens(20);
  samples.requests[1].set_correct(false);
  const RegattaInfo info = CompletePoint(StreamingContext(1), samples).regatta();
  EXPECT_EQ(info.length_mismatches(), 1u);
  EXPECT_EQ(info.early_stops(), 1u);
  EXPECT_DOUBLE_EQ(info.asked_output_length(), 16.5);
  EXPECT_EQ(info.preemptions(), 2u);
  EXPECT_DOUBLE_EQ(info.cached_prompt_fraction(), 0.5);
  EXPECT_EQ(info.answered_requests(), 2u);
  EXPECT_DOUBLE_EQ(info.correct_fraction(), 0.5);
}

// A template adds up to 64 tokens, and nothing that serves the whole prompt takes any away.
TEST(CompletePointTest, PromptsThatTheServerCountsOtherwise) {
  PointSamples samples;
  EXPECT_FALSE(CompletePoint(StreamingContext(1), samples).regatta().has_asked_input_length());
  for (uint32_t counted : {100, 101, 164, 165, 99, 7}) {
    samples.requests.push_back(Record(0, 50, 100, counted, 8));
    samples.requests.back().set_asked_input_tokens(100);
  }
  samples.requests.push_back(Record(0, 50, 100, 7, 8));  // of text: not known
  const PointReport report = CompletePoint(StreamingContext(1), samples);
  EXPECT_EQ(report.regatta().prompt_mismatches(), 3u);
  EXPECT_DOUBLE_EQ(report.regatta().asked_input_length(), 100);
}

TEST(CompletePointTest, ObjectivesPriceAndMetersGiveTheirFigures) {
  PointReport context = StreamingContext(2);
  Objective& objective = *context.mutable_regatta()->mutable_goodput()->add_objectives();
  objective.set_metric("e2el");
  objective.set_limit_ms(700);
  context.mutable_regatta()->mutable_cost()->set_gpu_hour_price(3);
  EnergyReport& energy = *context.mutable_regatta()->mutable_energy();
  energy.set_seconds(1);
  for (const double joules : {400.0, 240.0, 50.0}) {
    GpuEnergy& gpu = *energy.add_gpus();
    gpu.set_used(joules > 100);
    gpu.set_joules(joules);
  }
  context.mutable_regatta()->set_idle_gpus(1);
  const RegattaInfo info = CompletePoint(context, TwoRequests()).regatta();
  EXPECT_EQ(info.goodput().good_requests(), 1u);
  EXPECT_DOUBLE_EQ(info.goodput().output_goodput_tok_s(), 11);
  EXPECT_DOUBLE_EQ(info.energy().joules(), 640);
  EXPECT_DOUBLE_EQ(info.energy().idle_joules(), 50);
  EXPECT_DOUBLE_EQ(info.energy().joules_per_output_token(), 20);
  EXPECT_DOUBLE_EQ(info.energy().output_tokens_per_joule(), 0.05);
  EXPECT_DOUBLE_EQ(info.energy().output_tok_s_per_w(), 0.05);
  EXPECT_NEAR(info.energy().joules_per_total_token(), 640 / 72.0, 1e-9);
  EXPECT_DOUBLE_EQ(info.energy().joules_per_request(), 320);
  // 2 GPUs at 3 an hour, 32 tokens a second.
  EXPECT_NEAR(info.cost().per_million_output_tokens(), 6e6 / (32 * 3600), 1e-9);
  EXPECT_NEAR(info.cost().per_million_total_tokens(), 6e6 / (72 * 3600), 1e-9);
  EXPECT_NEAR(info.cost().per_million_output_tokens_with_idle(), 9e6 / (32 * 3600), 1e-9);
}

TEST(CompletePointTest, NothingCompletedGivesZerosAndNoAnswers) {
  const PointReport report = CompletePoint(StreamingContext(1), PointSamples());
  EXPECT_DOUBLE_EQ(report.performance().request_throughput_req_s(), 0);
  EXPECT_DOUBLE_EQ(report.streaming_metrics().avg_ttft_ms(), 0);
  EXPECT_FALSE(report.regatta().has_correct_fraction());
}

TEST(CompletePointTest, RequestsCancelledOnPurposeWereInFlightAndHaveNoLatency) {
  PointSamples samples = TwoRequests();
  const PointReport without = CompletePoint(StreamingContext(1), samples);
  samples.requests.push_back(Record(0, 50, 5000, 500, 3));
  samples.requests.back().set_cancelled(true);
  const PointReport with = CompletePoint(StreamingContext(1), samples);
  EXPECT_EQ(with.regatta().cancelled_requests(), 1u);
  EXPECT_EQ(with.regatta().issued_requests(), 3u);
  EXPECT_EQ(with.regatta().failed_requests(), 0u);
  EXPECT_DOUBLE_EQ(with.request_info().avg_num_concurrent_requests(),
                   without.request_info().avg_num_concurrent_requests() + 1);
  EXPECT_EQ(with.regatta().asked_output_length(), without.regatta().asked_output_length());
  EXPECT_EQ(with.performance().SerializeAsString(), without.performance().SerializeAsString());
}

}  // namespace
}  // namespace regatta
