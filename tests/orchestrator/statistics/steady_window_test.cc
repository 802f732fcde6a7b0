// The level part of pretended runs.
#include "orchestrator/statistics/steady_window.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <functional>

namespace regatta {
namespace {

using ::testing::HasSubstr;

// A request that sends a token every `tpot_ms(time)`, after as long a first wait.
double AddRequest(double start, uint32_t tokens, const std::function<double(double)>& tpot_ms,
                  PointSamples& samples) {
  RequestRecord record;
  record.set_scheduled_ms(start);
  record.set_sent_ms(start);
  double now = start;
  for (uint32_t i = 0; i < tokens; ++i) {
    const double gap = tpot_ms(now);
    now += gap;
    if (i == 0) {
      record.set_first_token_ms(now);
      samples.AddFirstMessage(now, 1);
    } else {
      samples.AddMessage(now, gap, 1);
    }
  }
  record.set_last_token_ms(now);
  record.set_output_tokens(tokens);
  samples.requests.push_back(record);
  return now;
}

// `users` that send `rounds` requests each, one after another; user u's have 50 + u tokens, so that
// they do not keep step.
PointSamples ClosedLoop(int users, int rounds, const std::function<double(double)>& tpot_ms) {
  PointSamples samples;
  for (int user = 0; user < users; ++user) {
    double now = 0;
    for (int i = 0; i < rounds; ++i) now = AddRequest(now, 50 + user, tpot_ms, samples);
  }
  return samples;
}

TEST(SteadyWindowTest, ALevelRunIsItsOwnWindow) {
  const PointSamples samples = ClosedLoop(1, 20, [](double) { return 10.0; });
  const SteadyWindow window = FindSteadyWindow(samples, 2);
  ASSERT_TRUE(window.found()) << window.why_not();
  EXPECT_GT(window.end_ms() - window.start_ms(), 0.9 * 10000);
  EXPECT_NEAR(window.output_throughput_tok_s(), 100, 1);
  EXPECT_NEAR(window.output_throughput_per_gpu_tok_s(), 50, 0.5);
  EXPECT_NEAR(window.avg_num_concurrent_requests(), 1, 0.01);
  EXPECT_NEAR(window.token_output_speed_tok_s(), 100, 1e-6);
  EXPECT_NEAR(window.user_speed_tok_s(), 100, 1e-6);
  EXPECT_NEAR(window.tpot_ms().p99(), 10, 1e-9);
  EXPECT_GE(SteadyRates(samples, window).size(), 90u);
}

TEST(SteadyWindowTest, TheDrainIsLeftOut) {
  // All send for 10 s; then one user goes on alone for 10 s.
  PointSamples samples = ClosedLoop(10, 18, [](double) { return 10.0; });
  AddRequest(
      9000, 1100, [](double) { return 10.0; }, samples);
  const SteadyWindow window = FindSteadyWindow(samples, 1);
  ASSERT_TRUE(window.found()) << window.why_not();
  EXPECT_LT(window.end_ms(), 10500);
  EXPECT_NEAR(window.output_throughput_tok_s(), 1000, 30);
  const double whole_run = samples.tokens.Between(0, 1e9) / 20;
  EXPECT_LT(whole_run, 600);  // what the drain does to the whole run's figure
}

TEST(SteadyWindowTest, ASlowStartAtFullLoadIsTruncated) {
  // Tokens take 30 ms in the first 3 s, as with cold caches, and 10 ms from then on.
  const PointSamples samples =
      ClosedLoop(8, 20, [](double now) { return now < 3000 ? 30.0 : 10.0; });
  const SteadyWindow window = FindSteadyWindow(samples, 1);
  ASSERT_TRUE(window.found()) << window.why_not();
  EXPECT_GE(window.start_ms(), 2800);
  EXPECT_NEAR(window.output_throughput_tok_s(), 800, 16);
}

TEST(SteadyWindowTest, AllAtOnceNeverIsLevel) {
  PointSamples samples;
  for (uint32_t i = 1; i <= 100; ++i) {
    AddRequest(
        0, i, [](double) { return 10.0; }, samples);
  }
  const SteadyWindow window = FindSteadyWindow(samples, 1);
  EXPECT_FALSE(window.found());
  EXPECT_THAT(window.why_not(), HasSubstr("level for"));
}

TEST(SteadyWindowTest, ARateThatGrowsAllAlongDoesNotSettle) {
  const PointSamples samples =
      ClosedLoop(8, 40, [](double now) { return 30.0 * std::exp(-now / 8000); });
  EXPECT_FALSE(FindSteadyWindow(samples, 1).found());
}

TEST(SteadyWindowTest, AnOpenLoopIsLevelWhereItsQueueIs) {
  // Requests are due every 20 ms for 20 s and take 1 s each: 50 in flight between ramp and drain.
  PointSamples samples;
  for (int i = 0; i < 1000; ++i) {
    AddRequest(
        20.0 * i, 100, [](double) { return 10.0; }, samples);
  }
  const SteadyWindow window = FindSteadyWindow(samples, 1);
  ASSERT_TRUE(window.found()) << window.why_not();
  EXPECT_NEAR(window.plateau(), 50, 1);
  EXPECT_NEAR(window.output_throughput_tok_s(), 5000, 50);
  EXPECT_GT(window.end_ms() - window.start_ms(), 15'000);
}

// 64 users in step: prompts take 100 ms in which hardly any token comes, then 50 tokens 10 ms each.
PointSamples Waves(int rounds) {
  PointSamples samples;
  for (int user = 0; user < 64; ++user) {
    double now = 0;
    for (int i = 0; i < rounds; ++i) {
      now = AddRequest(
          now, 50, [&](double at) { return at == now ? 400.0 : 10.0; }, samples);
    }
  }
  return samples;
}

TEST(SteadyWindowTest, APartOfAWaveIsNoSteadyState) {
  // In a wave 64 x 50 tokens come in 890 ms.
  const SteadyWindow two = FindSteadyWindow(Waves(2), 1);
  EXPECT_FALSE(two.found()) << two.output_throughput_tok_s();
  const SteadyWindow many = FindSteadyWindow(Waves(20), 1);
  ASSERT_TRUE(many.found()) << many.why_not();
  EXPECT_NEAR(many.output_throughput_tok_s(), 64 * 50 / 0.89, 100);
}

// A system that hangs for most of a run is level, too.
TEST(SteadyWindowTest, AHangIsNoSteadyState) {
  const PointSamples samples =
      ClosedLoop(16, 20, [](double now) { return now > 2000 && now < 2020 ? 30'000.0 : 10.0; });
  const SteadyWindow window = FindSteadyWindow(samples, 1);
  EXPECT_FALSE(window.found()) << window.output_throughput_tok_s();
}

TEST(SteadyWindowTest, DegenerateRunsSayWhy) {
  PointSamples samples;
  EXPECT_EQ(FindSteadyWindow(samples, 1).why_not(), "no requests");
  samples.requests.emplace_back();
  EXPECT_EQ(FindSteadyWindow(samples, 1).why_not(), "the run took 0 ms, below 500");
  samples = ClosedLoop(1, 3, [](double) { return 10.0; });
  EXPECT_THAT(FindSteadyWindow(samples, 1).why_not(), HasSubstr("only 3 requests"));
}

}  // namespace
}  // namespace regatta
