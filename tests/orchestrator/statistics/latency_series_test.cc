// Latencies from the schedule, the server's share of them, gaps, arrivals and merging.
#include "orchestrator/statistics/latency_series.h"

#include <gtest/gtest.h>

namespace regatta {
namespace {

RequestRecord Late(double scheduled, double sent, double first, double last, uint32_t output) {
  RequestRecord record;
  record.set_scheduled_ms(scheduled);
  record.set_sent_ms(sent);
  record.set_first_token_ms(first);
  record.set_last_token_ms(last);
  record.set_output_tokens(output);
  record.set_deltas(output);
  return record;
}

TEST(LatencySeriesTest, TheScheduleCountsTheWaitToBeSent) {
  PointSamples samples;
  samples.requests = {Late(0, 0, 10, 110, 11), Late(10, 110, 120, 220, 11)};
  RegattaInfo info;
  FillLatencySeries(samples, /*streaming=*/true, info);
  EXPECT_DOUBLE_EQ(info.ttft_scheduled_ms().maximum(), 110);
  EXPECT_DOUBLE_EQ(info.latency_scheduled_ms().maximum(), 210);
  EXPECT_DOUBLE_EQ(info.ntpot_ms().average(), 10);
  EXPECT_FALSE(info.has_latency_split());
  EXPECT_FALSE(info.has_queue_ms());  // which no server told
}

TEST(LatencySeriesTest, AScheduleThatIsNotOnRecordHasNoFigures) {
  PointSamples samples;
  samples.requests = {Late(0, 0, 10, 110, 11), Late(10, 110, 120, 220, 11)};
  samples.requests[1].clear_scheduled_ms();
  RegattaInfo info;
  FillLatencySeries(samples, /*streaming=*/true, info);
  EXPECT_FALSE(info.has_ttft_scheduled_ms());
  EXPECT_FALSE(info.has_latency_scheduled_ms());
  EXPECT_DOUBLE_EQ(info.ntpot_ms().average(), 10);
}

TEST(LatencySeriesTest, TheServersTimesSplitTheLatency) {
  PointSamples samples;
  samples.requests = {Late(0, 0, 10, 110, 11), Late(0, 0, 30, 130, 11), Late(0, 0, 5, 9, 2)};
  samples.requests[0].set_queue_ms(2);
  samples.requests[0].set_prefill_ms(7);
  samples.requests[0].set_decode_ms(99);
  samples.requests[1].set_queue_ms(20);
  samples.requests[1].set_prefill_ms(7);
  samples.requests[1].set_decode_ms(101);
  RegattaInfo info;
  FillLatencySeries(samples, /*streaming=*/true, info);
  EXPECT_EQ(info.latency_split().requests(), 2u);
  EXPECT_DOUBLE_EQ(info.queue_ms().minimum(), 2);  // of those that were told
  EXPECT_DOUBLE_EQ(info.latency_split().prefill_ms().average(), 7);
  EXPECT_DOUBLE_EQ(info.latency_split().network_ms().minimum(), 1);
  EXPECT_DOUBLE_EQ(info.latency_split().network_ms().maximum(), 3);
  EXPECT_DOUBLE_EQ(info.latency_split().decode_ms().average(), 100);
}

TEST(LatencySeriesTest, TokensThatTheServerCountsOtherwiseAreTold) {
  PointSamples samples;
  samples.requests = {Late(0, 0, 1, 2, 5), Late(0, 0, 1, 2, 5), Late(0, 0, 1, 2, 5)};
  samples.requests[0].set_server_output_tokens(5);
  samples.requests[1].set_server_output_tokens(6);
  RegattaInfo info;
  FillLatencySeries(samples, /*streaming=*/true, info);
  EXPECT_EQ(info.token_count_mismatches(), 1u);
}

TEST(LatencySeriesTest, GapsArePerTokenAndPerChunk) {
  PointSamples samples;
  samples.requests = {Late(0, 0, 10, 60, 6)};
  samples.requests[0].set_deltas(3);
  samples.AddFirstMessage(10, 1);
  samples.AddMessage(20, 10, 1);
  samples.AddMessage(60, 40, 4);
  RegattaInfo info;
  FillLatencySeries(samples, /*streaming=*/true, info);
  EXPECT_DOUBLE_EQ(info.itl_ms().average(), 10);  // 50 ms for 5 tokens
  EXPECT_DOUBLE_EQ(info.itl_ms().maximum(), 10);
  EXPECT_DOUBLE_EQ(info.icl_ms().average(), 25);
  EXPECT_DOUBLE_EQ(info.icl_ms().maximum(), 40);
  EXPECT_DOUBLE_EQ(info.tokens_per_message(), 2);
}

TEST(TokenTimelineTest, CountsByArrival) {
  TokenTimeline tokens;
  tokens.Add(-3, 1);
  tokens.Add(0.9, 2);
  tokens.Add(5, 4);
  tokens.Add(1005, 8);
  EXPECT_DOUBLE_EQ(tokens.Between(0, 1), 3);
  EXPECT_DOUBLE_EQ(tokens.Between(1, 1005), 4);
  EXPECT_DOUBLE_EQ(tokens.Between(-10, 1e9), 15);
  EXPECT_DOUBLE_EQ(tokens.Between(2000, 3000), 0);
  EXPECT_EQ(tokens.MostWithin(1000), 8u);  // the second ends before 1005 ms
  EXPECT_EQ(tokens.MostWithin(1001), 12u);
}

TEST(PointSamplesTest, MergingAddsEverything) {
  PointSamples one, other;
  one.requests = {Late(0, 0, 1, 2, 1)};
  one.AddMessage(3, 2, 1);
  other.requests = {Late(0, 0, 1, 2, 1), Late(0, 0, 1, 2, 1)};
  other.AddFirstMessage(3, 1);
  other.AddMessage(9, 6, 3);
  one.Merge(std::move(other));
  EXPECT_EQ(one.requests.size(), 3u);
  EXPECT_EQ(one.gaps_ms, (std::vector<float>{2, 2}));
  EXPECT_EQ(one.gap_tokens, (std::vector<uint32_t>{1, 3}));
  EXPECT_DOUBLE_EQ(one.tokens.Between(0, 10), 5);
  EXPECT_EQ(one.tokens.MostWithin(1), 3u);
}

}  // namespace
}  // namespace regatta
