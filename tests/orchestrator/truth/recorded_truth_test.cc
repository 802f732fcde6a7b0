// What the load generator records of deltas whose times are known: to the nanosecond, because the
// target tells them and never waits for them.
#include <gtest/gtest.h>

#include <deque>

#include "common/clock.h"
#include "orchestrator/load/load_generator.h"
#include "orchestrator/statistics/statistics.h"

namespace regatta {
namespace {

constexpr int64_t kMs = 1'000'000;

// Every request gets 1, then 2, then 3 tokens: at 10, 15 and 35 ms after its start, by a server
// that says that it queued 2 ms, computed the prompt for 7 and sent for 25 ms.
class KnownTarget : public Target {
 public:
  void Start(uint64_t tag, const GenerateRequest&) override {
    queue_.push_back({tag, RealClock().NowNs()});
  }
  void Cancel(uint64_t) override {}
  void Poll(int64_t, TargetEvents& events) override {
    if (queue_.empty()) return;
    const auto [tag, start_ns] = queue_.front();
    queue_.pop_front();
    Send(tag, 1, start_ns + 10 * kMs, events);
    Send(tag, 2, start_ns + 15 * kMs, events);
    TokenDelta last;
    last.set_count(3);
    last.set_finish_reason(FINISH_REASON_LENGTH);
    last.mutable_usage()->set_output_tokens(tag % 2 == 0 ? 6 : 7);
    last.mutable_times()->set_arrived_ns(5000 * kMs);
    last.mutable_times()->set_scheduled_ns(5002 * kMs);
    last.mutable_times()->set_first_token_ns(5009 * kMs);
    last.mutable_times()->set_last_token_ns(5034 * kMs);
    events.OnDelta(tag, last, start_ns + 35 * kMs);
    events.OnEnd(tag, absl::OkStatus(), start_ns + 36 * kMs);
  }

 private:
  void Send(uint64_t tag, uint32_t count, int64_t received_ns, TargetEvents& events) {
    TokenDelta delta;
    delta.set_count(count);
    events.OnDelta(tag, delta, received_ns);
  }
  std::deque<std::pair<uint64_t, int64_t>> queue_;
};

TEST(RecordedTruthTest, GapsTokensAndTheServersTimesAreExact) {
  constexpr uint32_t kRequests = 40;
  Dataset dataset;
  DatasetEntry entry;
  entry.input_ids = {1, 2, 3};
  entry.output_tokens = 6;
  dataset.entries.assign(kRequests, entry);
  KnownTarget target;
  LoadOptions options;
  options.concurrency = 4;
  const std::atomic<bool> stop{false};
  const LoadResult result =
      LoadGenerator(target).Run(Workload(dataset, {}).Deal(kRequests), options, stop, nullptr);
  PointReport context;
  context.mutable_regatta()->set_streaming(true);
  const PointReport report = CompletePoint(context, result.samples);
  const RegattaInfo& info = report.regatta();
  ASSERT_EQ(report.request_info().num_requests(), kRequests);
  // Gaps of 5 and 20 ms for 2 and 3 tokens; times are kept as float.
  EXPECT_NEAR(info.icl_ms().average(), 12.5, 1e-4);
  EXPECT_NEAR(info.icl_ms().maximum(), 20, 1e-4);
  EXPECT_NEAR(info.itl_ms().average(), 5, 1e-4);
  EXPECT_NEAR(info.itl_ms().minimum(), 2.5, 1e-4);
  EXPECT_NEAR(info.itl_ms().maximum(), 20 / 3.0, 1e-4);
  EXPECT_NEAR(report.streaming_metrics().tpot_percentiles().maximum(), 5, 1e-6);
  EXPECT_NEAR(report.streaming_metrics().tpot_percentiles().minimum(), 5, 1e-6);
  EXPECT_DOUBLE_EQ(info.tokens_per_message(), 2);
  EXPECT_DOUBLE_EQ(result.samples.tokens.Between(0, 1e9), 6.0 * kRequests);
  EXPECT_EQ(info.token_count_mismatches(), kRequests / 2);
  EXPECT_EQ(info.latency_split().requests(), kRequests);
  EXPECT_DOUBLE_EQ(info.queue_ms().p99(), 2);
  EXPECT_DOUBLE_EQ(info.latency_split().prefill_ms().p50(), 7);
  EXPECT_DOUBLE_EQ(info.latency_split().decode_ms().p50(), 25);
  // The client's TTFT is 10 ms and what lies between its stamp and Start.
  EXPECT_GE(info.latency_split().network_ms().minimum(), 1 - 1e-6);
  EXPECT_GE(report.streaming_metrics().ttft_percentiles().minimum(), 10 - 1e-6);
}

}  // namespace
}  // namespace regatta
