// The load generator against scripted and null targets: concurrency, completeness, errors,
// stopping.
#include "orchestrator/load/load_generator.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <map>
#include <set>

#include "absl/time/clock.h"
#include "common/clock.h"
#include "orchestrator/load/null_target.h"

namespace regatta {
namespace {

using ::testing::HasSubstr;

Dataset MakeDataset(uint32_t entries, uint32_t output_tokens) {
  Dataset dataset;
  for (uint32_t i = 0; i < entries; ++i) {
    DatasetEntry entry;
    entry.task_id = std::to_string(i);
    entry.input_ids = {1, 2, 3, i};
    entry.output_tokens = output_tokens;
    dataset.entries.push_back(entry);
  }
  return dataset;
}

// Answers each request after a few polls, out of order; some fail, some never end.
class ScriptedTarget : public Target {
 public:
  enum class Behaviour { kComplete, kFail, kHang, kSilentHang, kStop, kEndless };

  std::map<uint64_t, Behaviour> behaviour;
  std::set<uint64_t> started;
  std::set<uint64_t> cancelled;
  std::string text = "ok";
  uint32_t told_prompt = 4;          // tokens, by its count
  std::string why = "group fenced";  // of failures
  uint32_t running = 0;
  uint32_t peak = 0;

  void Start(uint64_t tag, const GenerateRequest& request) override {
    EXPECT_TRUE(started.insert(tag).second) << "issued twice: " << tag;
    peak = std::max(peak, ++running);
    queue_.push_back({tag, request.max_tokens()});
  }
  void Cancel(uint64_t tag) override {
    cancelled.insert(tag);
    if (behaviour[tag] != Behaviour::kSilentHang) ending_.push_back(tag);
  }
  void Poll(int64_t deadline_ns, TargetEvents& events) override {
    for (uint64_t tag : ending_) End(tag, absl::CancelledError("cancelled"), events);
    ending_.clear();
    if (queue_.empty()) return;
    // The newest first, so that requests end out of order.
    const auto [tag, tokens] = queue_.back();
    queue_.pop_back();
    if (cancelled.count(tag) > 0) return;
    switch (behaviour[tag]) {
      case Behaviour::kComplete:
        return Complete(tag, tokens, events);
      case Behaviour::kFail:
        return End(tag, absl::UnavailableError(why), events);
      case Behaviour::kStop:  // after a token
        return OneToken(tag, events);
      case Behaviour::kEndless:
        absl::SleepFor(absl::Milliseconds(15));
        queue_.push_front({tag, tokens});
        return OneToken(tag, events);
      default:
        return;
    }
  }

 private:
  void OneToken(uint64_t tag, TargetEvents& events) {
    TokenDelta delta;
    delta.set_count(1);
    events.OnDelta(tag, delta, RealClock().NowNs());
  }
  void Complete(uint64_t tag, uint32_t tokens, TargetEvents& events) {
    TokenDelta delta;
    delta.set_count(tokens - 1);
    events.OnDelta(tag, delta, RealClock().NowNs());
    delta.set_count(1);
    delta.set_text(text);
    delta.set_finish_reason(FINISH_REASON_LENGTH);
    delta.mutable_usage()->set_prompt_tokens(told_prompt);
    delta.mutable_usage()->set_preemptions(1);
    events.OnDelta(tag, delta, RealClock().NowNs());
    End(tag, absl::OkStatus(), events);
  }
  void End(uint64_t tag, const absl::Status& status, TargetEvents& events) {
    --running;
    events.OnEnd(tag, status, RealClock().NowNs());
  }
  std::deque<std::pair<uint64_t, uint32_t>> queue_;
  std::vector<uint64_t> ending_;
};

LoadOptions Concurrency(uint32_t concurrency) {
  LoadOptions options;
  options.concurrency = concurrency;
  return options;
}

TEST(LoadGeneratorTest, IssuesEveryRequestOnceAndNeverExceedsTheConcurrency) {
  const Dataset dataset = MakeDataset(200, 5);
  for (uint32_t concurrency : {1u, 3u, 64u, 200u}) {
    ScriptedTarget target;
    const std::atomic<bool> stop{false};
    const LoadResult result = LoadGenerator(target).Run(Workload(dataset, {}).Deal(200),
                                                        Concurrency(concurrency), stop, nullptr);
    EXPECT_EQ(target.started.size(), 200u);
    // One request ends at each look for tokens, 16 may be sent before the next one.
    EXPECT_GE(target.peak, std::min(concurrency, 150u));
    EXPECT_LE(target.peak, concurrency);
    EXPECT_EQ(result.peak_in_flight, target.peak);
    EXPECT_FALSE(result.cut_short);
    ASSERT_EQ(result.samples.requests.size(), 200u);
    for (uint32_t i = 0; i < 200; ++i) {
      const RequestRecord& record = result.samples.requests[i];
      EXPECT_EQ(record.index(), i);
      EXPECT_EQ(record.task_id(), std::to_string(i));
      EXPECT_EQ(record.output_tokens(), 5u);
      EXPECT_EQ(record.input_tokens(), 4u);
      EXPECT_EQ(record.deltas(), 2u);
      EXPECT_EQ(record.preemptions(), 1u);
      EXPECT_EQ(record.finish_reason(), "length");
      EXPECT_EQ(record.error(), "");
      EXPECT_LE(record.sent_ms(), record.first_token_ms());
      EXPECT_LE(record.first_token_ms(), record.last_token_ms());
    }
    EXPECT_EQ(result.samples.gaps_ms.size(), 200u);
  }
}

// Whatever a server makes of a prompt, the record says what was sent.
TEST(LoadGeneratorTest, WhatWasSentIsKeptBesideWhatTheServerCounts) {
  Dataset dataset = MakeDataset(2, 5);
  dataset.entries[1].prompt = "text, whose tokens only the server knows";
  dataset.entries[1].input_ids.clear();
  const std::atomic<bool> stop{false};
  for (const uint32_t told : {7u, 0u}) {
    ScriptedTarget target;
    target.told_prompt = told;
    const LoadResult result =
        LoadGenerator(target).Run(Workload(dataset, {}).Deal(2), Concurrency(1), stop, nullptr);
    const RequestRecord& ids = result.samples.requests[0];
    EXPECT_EQ(ids.asked_input_tokens(), 4u);
    EXPECT_EQ(ids.input_tokens(), told > 0 ? told : 4u);
    const RequestRecord& text = result.samples.requests[1];
    EXPECT_FALSE(text.has_asked_input_tokens());
    EXPECT_EQ(text.input_tokens(), told);
  }
}

TEST(LoadGeneratorTest, FailuresAreRecordedAndAbortNothing) {
  const Dataset dataset = MakeDataset(20, 5);
  ScriptedTarget target;
  target.behaviour[3] = target.behaviour[19] = ScriptedTarget::Behaviour::kFail;
  const std::atomic<bool> stop{false};
  LoadProgress last;
  const LoadResult result =
      LoadGenerator(target).Run(Workload(dataset, {}).Deal(20), Concurrency(4), stop,
                                [&](const LoadProgress& progress) { last = progress; });
  ASSERT_EQ(result.samples.requests.size(), 20u);
  EXPECT_EQ(result.samples.requests[3].error(), "UNAVAILABLE: group fenced");
  EXPECT_EQ(result.samples.requests[19].error(), "UNAVAILABLE: group fenced");
  EXPECT_EQ(last.completed, 18u);
  EXPECT_EQ(last.failed, 2u);
  EXPECT_EQ(last.in_flight, 0u);
  EXPECT_EQ(last.output_tokens, 18u * 5);
}

TEST(LoadGeneratorTest, AFailureInBytesThatAreNoTextIsStillARecord) {
  const Dataset dataset = MakeDataset(1, 5);
  ScriptedTarget target;
  target.behaviour[0] = ScriptedTarget::Behaviour::kFail;
  target.why = "HTTP 500: \xff\x1b[2J";
  const std::atomic<bool> stop{false};
  const LoadResult result =
      LoadGenerator(target).Run(Workload(dataset, {}).Deal(1), Concurrency(1), stop, nullptr);
  ASSERT_EQ(result.samples.requests.size(), 1u);
  const RequestRecord& record = result.samples.requests[0];
  EXPECT_EQ(record.error(), "UNAVAILABLE: HTTP 500: \xef\xbf\xbd\xef\xbf\xbd[2J");
  EXPECT_TRUE(RequestRecord().ParseFromString(record.SerializeAsString()));
}

TEST(LoadGeneratorTest, AStallIsCancelledAndCounted) {
  const Dataset dataset = MakeDataset(6, 5);
  ScriptedTarget target;
  target.behaviour[2] = ScriptedTarget::Behaviour::kHang;
  LoadOptions options = Concurrency(1);
  options.stall_timeout = absl::Milliseconds(50);
  const std::atomic<bool> stop{false};
  const LoadResult result =
      LoadGenerator(target).Run(Workload(dataset, {}).Deal(6), options, stop, nullptr);
  ASSERT_EQ(result.samples.requests.size(), 3u);
  EXPECT_THAT(result.samples.requests[2].error(), HasSubstr("no token of any request for 50ms"));
  EXPECT_TRUE(result.cut_short);
  EXPECT_FALSE(result.interrupted);
}

TEST(LoadGeneratorTest, RequestsThatStopOrNeverEndAreGivenUpAlone) {
  const Dataset dataset = MakeDataset(6, 5);
  ScriptedTarget target;
  target.behaviour[0] = ScriptedTarget::Behaviour::kStop;
  target.behaviour[1] = ScriptedTarget::Behaviour::kEndless;
  LoadOptions options = Concurrency(2);
  options.stall_timeout = absl::Milliseconds(50);
  const std::atomic<bool> stop{false};
  const LoadResult result =
      LoadGenerator(target).Run(Workload(dataset, {}).Deal(6), options, stop, nullptr);
  ASSERT_EQ(result.samples.requests.size(), 6u);
  EXPECT_THAT(result.samples.requests[0].error(), HasSubstr("no further token for 50ms"));
  EXPECT_THAT(result.samples.requests[1].error(), HasSubstr("goes on behind the 5 tokens"));
  for (int i = 2; i < 6; ++i) EXPECT_EQ(result.samples.requests[i].error(), "");
  EXPECT_FALSE(result.cut_short);
}

TEST(LoadGeneratorTest, StoppingCancelsWhatRunsAndKeepsWhatIsDone) {
  const Dataset dataset = MakeDataset(50, 5);
  ScriptedTarget target;
  for (uint64_t tag = 10; tag < 50; ++tag) target.behaviour[tag] = ScriptedTarget::Behaviour::kHang;
  std::atomic<bool> stop{false};
  const LoadResult result =
      LoadGenerator(target).Run(Workload(dataset, {}).Deal(50), Concurrency(4), stop,
                                [&](const LoadProgress& now) { stop = now.completed == 10; });
  EXPECT_TRUE(result.interrupted);
  EXPECT_TRUE(result.cut_short);
  EXPECT_EQ(result.samples.requests.size(), 10u);
  EXPECT_EQ(target.cancelled.size(), 4u);
  EXPECT_EQ(target.running, 0u);
}

TEST(LoadGeneratorTest, ATimeBudgetStopsIssuingAndLetsRequestsEnd) {
  const Dataset dataset = MakeDataset(10000, 4);
  NullTarget target({1'000'000, 1'000'000, 1});
  LoadOptions options = Concurrency(2);
  options.max_time = absl::Milliseconds(60);
  const std::atomic<bool> stop{false};
  const LoadResult result =
      LoadGenerator(target).Run(Workload(dataset, {}).Deal(10000), options, stop, nullptr);
  EXPECT_TRUE(result.cut_short);
  EXPECT_FALSE(result.interrupted);
  EXPECT_GT(result.samples.requests.size(), 2u);
  EXPECT_LT(result.samples.requests.size(), 1000u);
  for (const RequestRecord& record : result.samples.requests) {
    EXPECT_EQ(record.output_tokens(), 4u);
  }
}

TEST(LoadGeneratorTest, RunsOfOneGeneratorDoNotMix) {
  const Dataset dataset = MakeDataset(20, 5);
  ScriptedTarget target;
  LoadGenerator generator(target);
  Workload workload(dataset, {});
  const std::atomic<bool> stop{false};
  generator.Run(workload.Deal(5), Concurrency(2), stop, nullptr);
  const LoadResult second = generator.Run(workload.Deal(7), Concurrency(2), stop, nullptr);
  ASSERT_EQ(second.samples.requests.size(), 7u);
  EXPECT_EQ(second.samples.requests[0].task_id(), "5");
  EXPECT_EQ(target.started.size(), 12u);
}

TEST(LoadGeneratorTest, AnswersAreCompared) {
  Dataset dataset = MakeDataset(2, 2);
  for (DatasetEntry& entry : dataset.entries) entry.has_answer = true;
  dataset.entries[0].answer = "okok";
  dataset.entries[1].answer = "ok";
  ScriptedTarget target;
  WorkloadOptions options;
  options.honor_eos = true;
  const std::atomic<bool> stop{false};
  const LoadResult result =
      LoadGenerator(target).Run(Workload(dataset, options).Deal(2), Concurrency(1), stop, nullptr);
  EXPECT_FALSE(result.samples.requests[0].correct());
  EXPECT_TRUE(result.samples.requests[1].correct());
}

// Known timing in, the same figures out: TTFT 20 ms, 5 ms between messages.
TEST(LoadGeneratorTest, MeasuresTheNullTargetsTiming) {
  const Dataset dataset = MakeDataset(8, 11);
  NullTarget target({20'000'000, 5'000'000, 1});
  const std::atomic<bool> stop{false};
  LoadProgress last;
  const LoadResult result =
      LoadGenerator(target).Run(Workload(dataset, {}).Deal(8), Concurrency(4), stop,
                                [&last](const LoadProgress& now) { last = now; });
  // Whoever watches sees the same as the report.
  EXPECT_GT(last.ttft.requests, 0u);
  EXPECT_GE(last.ttft.p50_ms, 20);
  EXPECT_GT(last.tpot.requests, 0u);
  EXPECT_GE(last.tpot.p95_ms, last.tpot.p50_ms);
  PointReport context;
  context.mutable_regatta()->set_streaming(true);
  const PointReport report = CompletePoint(context, result.samples);
  const StreamingMetrics& metrics = report.streaming_metrics();
  EXPECT_GE(metrics.ttft_percentiles().minimum(), 20);
  EXPECT_LT(metrics.ttft_percentiles().p50(), 30);
  EXPECT_NEAR(metrics.tpot_percentiles().p50(), 5, 1);
  EXPECT_NEAR(report.regatta().itl_ms().p50(), 5, 1);
  EXPECT_DOUBLE_EQ(report.request_info().avg_output_length(), 11);
}

}  // namespace
}  // namespace regatta
