// Which latencies a point is shown by: from when due where a schedule says so.
#include "orchestrator/statistics/headline_latency.h"

#include <gtest/gtest.h>

#include <optional>
#include <string>

#include "orchestrator/statistics/load_name.h"
#include "orchestrator/statistics/repeats.h"
#include "orchestrator/statistics/statistics.h"

namespace regatta {
namespace {

constexpr double kWaitMs = 157;  // in the client, of each request

// Requests that were sent late, of the load that `info` says.
PointReport Late(const RegattaInfo& info) {
  PointSamples samples;
  for (uint32_t i = 0; i < 40; ++i) {
    RequestRecord& r = samples.requests.emplace_back();
    r.set_output_tokens(3);
    r.set_scheduled_ms(25.0 * i);
    r.set_sent_ms(r.scheduled_ms() + kWaitMs);
    r.set_first_token_ms(r.sent_ms() + 6);
    r.set_last_token_ms(r.sent_ms() + 20);
  }
  PointReport context;
  *context.mutable_regatta() = info;
  context.mutable_regatta()->set_streaming(true);
  return CompletePoint(context, samples);
}

RegattaInfo Load(const char* arrival, double rate) {
  RegattaInfo info;
  info.set_concurrency(1);
  info.mutable_load()->set_arrival(arrival);
  info.mutable_load()->set_request_rate(rate);
  return info;
}

TEST(HeadlineLatency, OfARateAndOfATraceIsFromWhenDue) {
  for (const RegattaInfo& info : {Load("poisson", 40), Load("", 40), Load(kTraceReplay, 0)}) {
    const PointReport point = Late(info);
    EXPECT_TRUE(IsFromDue(point));
    EXPECT_DOUBLE_EQ(HeadlineTtft(point).p95(), kWaitMs + 6);
    EXPECT_DOUBLE_EQ(HeadlineLatency(point).p50(), kWaitMs + 20);
    EXPECT_DOUBLE_EQ(HeadlineMeanTtftMs(point), kWaitMs + 6);
    EXPECT_DOUBLE_EQ(HeadlineMeanLatencyMs(point), kWaitMs + 20);
    EXPECT_STREQ(HeadlineTtftName(point), "TTFT from when due");
    EXPECT_DOUBLE_EQ(point.streaming_metrics().ttft_percentiles().p95(), 6) << "trtllm-bench's";
  }
}

TEST(HeadlineLatency, OfUsersWhoWaitForTheirAnswersIsFromWhenSent) {
  for (const RegattaInfo& info : {Load(kClosedLoop, 0), Load(kBurst, 0)}) {
    const PointReport point = Late(info);
    EXPECT_FALSE(IsFromDue(point));
    EXPECT_DOUBLE_EQ(HeadlineTtft(point).p95(), 6);
    EXPECT_DOUBLE_EQ(HeadlineLatency(point).p50(), 20);
    EXPECT_DOUBLE_EQ(HeadlineMeanTtftMs(point), 6);
    EXPECT_DOUBLE_EQ(HeadlineMeanLatencyMs(point), 20);
    EXPECT_STREQ(HeadlineTtftName(point), "TTFT");
  }
}

// As those of other tools.
TEST(HeadlineLatency, OfResultsThatDoNotKnowTheScheduleIsFromWhenSent) {
  PointReport point;
  *point.mutable_regatta() = Load("", 40);
  point.mutable_streaming_metrics()->mutable_ttft_percentiles()->set_p95(6);
  EXPECT_FALSE(IsFromDue(point));
  EXPECT_DOUBLE_EQ(HeadlineTtft(point).p95(), 6);
}

std::optional<double> MeanIn(const google::protobuf::RepeatedPtrField<Interval>& intervals,
                             const std::string& metric) {
  for (const Interval& interval : intervals) {
    if (interval.metric() == metric) return interval.mean();
  }
  return std::nullopt;
}

TEST(HeadlineLatency, IntervalsAndTailsAreOfTheSame) {
  const PointReport open = Late(Load("poisson", 40)), closed = Late(Load(kClosedLoop, 0));
  EXPECT_EQ(open.regatta().tails(0).metric(), "latency_scheduled_ms");
  EXPECT_DOUBLE_EQ(open.regatta().tails(0).estimate(), kWaitMs + 20);
  EXPECT_EQ(closed.regatta().tails(0).metric(), "latency_ms");
  EXPECT_EQ(MeanIn(open.regatta().intervals(), "latency_scheduled_ms.average"), kWaitMs + 20);
  EXPECT_EQ(MeanIn(open.regatta().intervals(), "avg_ttft_ms"), std::nullopt);
  EXPECT_EQ(MeanIn(closed.regatta().intervals(), "avg_request_latency_ms"), 20);
  SweepReport sweep;
  for (int run = 0; run < 5; ++run) *sweep.add_runs() = open;
  SummarizeRuns(sweep);
  EXPECT_EQ(MeanIn(sweep.repeats(0).intervals(), "ttft_scheduled_ms.p95"), kWaitMs + 6);
  EXPECT_EQ(MeanIn(sweep.repeats(0).intervals(), "p95_ttft_ms"), std::nullopt);
}

}  // namespace
}  // namespace regatta
