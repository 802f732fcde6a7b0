// Coordinated omission (Tene 2013): a client that waits for the server before it sends asks least
// while the server is slowest. Latency from the send time then leaves out what users waited; from
// the schedule it does not.
#include <gtest/gtest.h>

#include <algorithm>

#include "orchestrator/statistics/goodput.h"
#include "orchestrator/statistics/statistics.h"

namespace regatta {
namespace {

constexpr int kRequests = 10'000;
constexpr double kEveryMs = 10, kServiceMs = 1;
constexpr double kStallBeginMs = 50'000, kStallEndMs = 60'000;  // the server answers nothing

// A server that takes 1 ms a request but for a stall of 10 s in 100 s; a request is due every 10 ms
// and is sent when the one before it has been answered.
std::vector<RequestRecord> Measure() {
  std::vector<RequestRecord> records;
  double free_ms = 0;
  for (int i = 0; i < kRequests; ++i) {
    RequestRecord& record = records.emplace_back();
    record.set_scheduled_ms(i * kEveryMs);
    record.set_sent_ms(std::max(record.scheduled_ms(), free_ms));
    const bool stalled = record.sent_ms() >= kStallBeginMs && record.sent_ms() < kStallEndMs;
    free_ms = (stalled ? kStallEndMs : record.sent_ms()) + kServiceMs;
    record.set_first_token_ms(free_ms);
    record.set_last_token_ms(free_ms);
    record.set_output_tokens(1);
    record.set_deltas(1);
  }
  return records;
}

// What a user waits who comes when the schedule says, by the model of the server alone.
std::vector<double> UsersWait() {
  std::vector<double> waits;
  double ready_ms = 0;
  for (int i = 0; i < kRequests; ++i) {
    const double due_ms = i * kEveryMs;
    double begin_ms = std::max(due_ms, ready_ms);
    if (begin_ms >= kStallBeginMs && begin_ms < kStallEndMs) begin_ms = kStallEndMs;
    ready_ms = begin_ms + kServiceMs;
    waits.push_back(ready_ms - due_ms);
  }
  std::sort(waits.begin(), waits.end());
  return waits;
}

TEST(CoordinatedOmissionTest, TheNaiveToolIsWrongAndTheScheduleIsRight) {
  PointSamples samples;
  samples.requests = Measure();
  PointReport context;
  context.mutable_regatta()->set_streaming(true);
  const PointReport report = CompletePoint(context, samples);
  const std::vector<double> truth = UsersWait();
  const double p99 = Quantile(truth, 0.99), p90 = Quantile(truth, 0.90);
  ASSERT_GT(p99, 8'000) << "a tenth of the users come while it stalls";
  // From the send time only one request is slow: the 99 % quantile is 1 ms.
  EXPECT_DOUBLE_EQ(report.streaming_metrics().ttft_percentiles().p99(), kServiceMs);
  const RegattaInfo& info = report.regatta();
  EXPECT_NEAR(info.ttft_scheduled_ms().p99(), p99, 1e-6);
  EXPECT_NEAR(info.ttft_scheduled_ms().p90(), p90, 1e-6);
  EXPECT_NEAR(info.latency_scheduled_ms().p99(), p99, 1e-6);
  EXPECT_NEAR(info.ttft_scheduled_ms().average(), Mean(truth), 1e-6);
}

TEST(CoordinatedOmissionTest, GoodputCountsUsersThatWaitedInTheClient) {
  PointReport context;
  context.mutable_regatta()->set_streaming(true);
  Objective& objective = *context.mutable_regatta()->mutable_goodput()->add_objectives();
  objective.set_metric("ttft");
  objective.set_limit_ms(500);
  PointSamples samples;
  samples.requests = Measure();
  const Goodput goodput = CompletePoint(context, samples).regatta().goodput();
  const std::vector<double> truth = UsersWait();
  const auto good = std::upper_bound(truth.begin(), truth.end(), 500.0) - truth.begin();
  EXPECT_EQ(goodput.good_requests(), static_cast<uint32_t>(good));
  EXPECT_LT(goodput.good_fraction(), 0.92);  // from the send time it would be 0.9999
}

}  // namespace
}  // namespace regatta
