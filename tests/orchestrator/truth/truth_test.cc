// Every figure against what a null engine really did, on a simulated clock: constant, jittered,
// stalling, slow to start and ending early, for 1 to 4,000 streams.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "orchestrator/statistics/statistics.h"
#include "orchestrator/workload/counter_random.h"
#include "tests/orchestrator/truth/known_run.h"

namespace regatta {
namespace {

constexpr int64_t kMs = 1'000'000;
constexpr int64_t kLongestDelayNs = 40'000;
constexpr double kLimitMs = 0.05;  // a mean or median may be off by that, or by 1 %

struct Pattern {
  std::string name;
  NullTiming timing;
};

std::vector<Pattern> Patterns() {
  const NullTiming constant = {30 * kMs, 5 * kMs, 1};
  NullTiming chunks = constant, jittered = constant, stalls = constant, slow = constant,
             early = constant, all = constant;
  chunks.tokens_per_message = 4;
  jittered.jitter = 0.5;
  stalls.stall_every = 7;
  stalls.stall_ns = 200 * kMs;
  slow.slow_starts = 0.1;
  early.early_ends = 0.3;
  all = {30 * kMs, 5 * kMs, 3, 0.9, 5, 50 * kMs, 0.2, 0.2, 9};
  return {{"constant", constant},
          {"chunks", chunks},
          {"jittered", jittered},
          {"stalls", stalls},
          {"slow_starts", slow},
          {"early_ends", early},
          {"all", all}};
}

// From 0 to the longest, different for each message.
int64_t Delay(uint64_t tag, uint32_t index) {
  return DrawBelow(kLongestDelayNs, 77, RandomStream::kVariation, tag, index);
}

PointReport Report(const PointSamples& samples) {
  PointReport context;
  context.mutable_world_info()->set_world_size(1);
  context.mutable_regatta()->set_streaming(true);
  return CompletePoint(context, samples);
}

class TruthTest : public ::testing::TestWithParam<std::tuple<size_t, uint32_t>> {
 protected:
  Pattern pattern() const { return Patterns()[std::get<0>(GetParam())]; }
  uint32_t users() const { return std::get<1>(GetParam()); }
  KnownRun Simulate() const {
    const uint32_t rounds = std::max(2u, 200 / users());
    return SimulateClosedLoop(pattern().timing, users(), rounds, 32, Delay);
  }
};

TEST_P(TruthTest, EveryFigureIsWhatTheServerDid) {
  const KnownRun run = Simulate();
  ASSERT_LE(run.max_delay_ms, kLongestDelayNs / 1e6);
  const PointReport report = Report(run.samples);
  const auto known = KnownFigures(run.served), reported = ReportedFigures(report);
  ASSERT_EQ(known.size(), reported.size());
  for (const auto& [name, truth] : known) {
    const KnownFigure& figure = reported.at(name);
    EXPECT_NEAR(figure.mean, truth.mean, std::max(0.01 * truth.mean, kLimitMs)) << name;
    EXPECT_NEAR(figure.p50, truth.p50, std::max(0.01 * truth.p50, kLimitMs)) << name;
    // A quantile moves no further than the samples do.
    const double lateness = name == "speed" ? 0.01 * truth.p99 : run.max_delay_ms + 1e-6;
    EXPECT_NEAR(figure.p99, truth.p99, lateness) << name;
  }
  const double throughput = KnownThroughput(run.served);
  EXPECT_NEAR(report.performance().system_output_throughput_tok_s(), throughput, 0.01 * throughput);
}

TEST_P(TruthTest, TokensEndsAndTheWayThroughTheNetworkAreCounted) {
  const KnownRun run = Simulate();
  const RegattaInfo info = Report(run.samples).regatta();
  uint32_t early = 0;
  double tokens = 0, messages = 0;
  for (const ServedRequest& served : run.served) {
    early += served.tokens() < 32;
    tokens += served.tokens();
    messages += served.message_ns.size();
  }
  EXPECT_EQ(info.early_stops(), early);
  EXPECT_EQ(early > 0, pattern().timing.early_ends > 0);
  EXPECT_EQ(info.token_count_mismatches(), 0u);
  EXPECT_DOUBLE_EQ(info.tokens_per_message(), tokens / messages);
  EXPECT_DOUBLE_EQ(run.samples.tokens.Between(0, 1e12), tokens);
  EXPECT_EQ(info.latency_split().requests(), run.served.size());
  EXPECT_GE(info.latency_split().network_ms().minimum(), -1e-6);
  EXPECT_LE(info.latency_split().network_ms().maximum(), run.max_delay_ms + 1e-6);
}

INSTANTIATE_TEST_SUITE_P(Patterns, TruthTest,
                         ::testing::Combine(::testing::Range<size_t>(0, 7),
                                            ::testing::Values(1u, 16u, 256u, 4000u)),
                         [](const auto& info) {
                           return Patterns()[std::get<0>(info.param)].name + "_" +
                                  std::to_string(std::get<1>(info.param));
                         });

TEST(SteadyTruthTest, TheWindowIsNearerToTheServersRateThanTheWholeRun) {
  // 64 users at full speed; a tenth of the requests starts ten times later, so that users drift
  // apart and the run drains slowly.
  const NullTiming timing = {400 * kMs, 10 * kMs, 1, 0.2, 0, 0, 0.1, 0.3};
  const KnownRun run = SimulateClosedLoop(timing, 64, 12, 100, Delay);
  const PointReport report = Report(run.samples);
  const SteadyWindow& window = report.regatta().steady_window();
  ASSERT_TRUE(window.found()) << window.why_not();
  double tokens = 0;
  for (const ServedRequest& served : run.served) {
    for (size_t i = 0; i < served.message_ns.size(); ++i) {
      const double at_ms = served.message_ns[i] / 1e6;
      if (at_ms >= window.start_ms() && at_ms < window.end_ms()) tokens += served.message_tokens[i];
    }
  }
  const double truth = tokens / (window.end_ms() - window.start_ms()) * 1e3;
  EXPECT_NEAR(window.output_throughput_tok_s(), truth, 0.01 * truth);
  EXPECT_GT(window.avg_num_concurrent_requests(), 0.95 * 64);
  EXPECT_LT(report.performance().system_output_throughput_tok_s(), 0.95 * truth);
}

}  // namespace
}  // namespace regatta
