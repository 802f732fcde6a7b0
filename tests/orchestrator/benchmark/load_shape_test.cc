// Rates, load shapes and client threads from flags, and the calibration of the client itself.
#include "orchestrator/benchmark/load_shape.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "orchestrator/benchmark/calibration.h"
#include "orchestrator/benchmark/request_rates.h"
#include "orchestrator/http/connection_limit.h"

namespace regatta {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr double kInf = std::numeric_limits<double>::infinity();

TEST(RequestRatesTest, ListsRangesAndInfinity) {
  EXPECT_THAT(*ParseRequestRates("2.5"), ElementsAre(2.5));
  EXPECT_THAT(*ParseRequestRates("4, 1,2,4"), ElementsAre(1, 2, 4));
  EXPECT_THAT(*ParseRequestRates("1:8:x2,inf"), ElementsAre(1, 2, 4, 8, kInf));
  EXPECT_EQ(ParseRequestRates("0.1:1:+0.1")->size(), 10u);
}

TEST(RequestRatesTest, ErrorsNameThePart) {
  const auto message = [](const char* text) {
    return std::string(ParseRequestRates(text).status().message());
  };
  EXPECT_THAT(message("x"), HasSubstr("--request-rate 'x': 'x' is no number"));
  EXPECT_THAT(message("nan"), HasSubstr("nan is not above 0"));
  EXPECT_THAT(message("0"), HasSubstr("0 is not above 0"));
  EXPECT_THAT(message("1:8"), HasSubstr("three fields"));
  EXPECT_THAT(message("1:8:x1"), HasSubstr("must be above 1"));
  EXPECT_THAT(message("1:inf:x2"), HasSubstr("infinite"));
  EXPECT_THAT(message("1:1e9:+1"), HasSubstr("more than 1000"));
}

TEST(RequestRatesTest, PointsHaveHalfAMinutesRequests) {
  const auto points = PlanRates({1, 50, 1e6, kInf}, 8, 0);
  EXPECT_EQ(points[0].requests, 100u);
  EXPECT_EQ(points[1].requests, 1500u);
  EXPECT_EQ(points[2].requests, 100'000u);
  EXPECT_EQ(points[3].requests, 100u);
  EXPECT_EQ(PlanRates({3}, 8, 7)[0].requests, 7u);
  EXPECT_EQ(points[1].concurrency, 8u);
}

TEST(LoadShapeTest, FlagsThatCannotWorkTogetherAreNamed) {
  const auto message = [](const LoadShapeOptions& options, const LoadPoint& point) {
    return std::string(CheckLoadShape(options, point).message());
  };
  LoadShapeOptions options;
  EXPECT_TRUE(CheckLoadShape(options, {4, 40}).ok());
  EXPECT_TRUE(CheckLoadShape(options, {0, 40, 2}).ok());
  EXPECT_THAT(message(options, {0, 40, -2}), "");
  EXPECT_THAT(message(options, {0, 40, 1e7}), HasSubstr("--request-rate is 1e+07"));
  options.ramp_up = "linear";
  EXPECT_THAT(message(options, {4, 40}), HasSubstr("--ramp-up has no effect without"));
  EXPECT_THAT(message(options, {0, 40, 2}), HasSubstr("--ramp-up-start-rps is 0"));
  options = {};
  options.fixed_schedule = true;
  EXPECT_THAT(message(options, {0, 40, 2}), HasSubstr("give one"));
  options = {};
  options.replay_speedup = 2;
  EXPECT_THAT(message(options, {4, 40}), HasSubstr("--replay-speedup has no effect without"));
  options = {};
  options.concurrency_ramp_s = 2;
  EXPECT_THAT(message(options, {0, 40, 1}), HasSubstr("--concurrency-ramp-duration has no effect"));
  options = {};
  options.cancellation_delay_s = 1;
  EXPECT_THAT(message(options, {4, 40}), HasSubstr("--request-cancellation-delay has no effect"));
  options = {};
  options.burstiness = 2;
  EXPECT_THAT(message(options, {4, 40}), HasSubstr("--burstiness has no effect"));
}

TEST(LoadShapeTest, PointsBecomeSchedules) {
  Dataset dataset;
  dataset.entries.resize(4);
  for (int i = 0; i < 4; ++i) {
    dataset.entries[i].input_ids = {1};
    dataset.entries[i].timestamp_ms = 100 + 50.0 * i * i;
  }
  const Batch batch = Workload(dataset, {}).Deal(4);
  LoadShapeOptions options;
  EXPECT_TRUE(LoadOptionsOf(options, {4, 4}, batch, 1).due_ns.empty());
  options.arrival = "constant";
  EXPECT_THAT(LoadOptionsOf(options, {0, 4, 2}, batch, 1).due_ns,
              ElementsAre(0, 500'000'000, 1'000'000'000, 1'500'000'000));
  EXPECT_THAT(LoadOptionsOf(options, {0, 4, kInf}, batch, 1).due_ns, ElementsAre(0, 0, 0, 0));
  options.fixed_schedule = true;
  options.replay_speedup = 2;
  EXPECT_THAT(LoadOptionsOf(options, {0, 4}, batch, 1).due_ns,
              ElementsAre(0, 25'000'000, 100'000'000, 225'000'000));
  EXPECT_EQ(DescribeLoadShape(options, {0, 4}).arrival(), "trace");
  EXPECT_EQ(LoadName(LoadOf(options, {0, 4})), "trace replay, 2 times as fast");
  EXPECT_EQ(DescribeLoadShape({}, {4, 4}).arrival(), "closed-loop");
  EXPECT_EQ(DescribeLoadShape({}, {0, 4, kInf}).arrival(), "burst");
  EXPECT_EQ(DescribeLoadShape({}, {0, 4, 3}).arrival(), "poisson");
  LoadShapeOptions gamma;
  gamma.arrival = "gamma";
  gamma.burstiness = 0.5;
  EXPECT_EQ(DescribeLoadShape(gamma, {0, 4, 3}).arrival(), "gamma");
  EXPECT_EQ(DescribeLoadShape(gamma, {0, 4, 3}).burstiness(), 0.5);
  gamma.burstiness = kInf;
  EXPECT_EQ(DescribeLoadShape(gamma, {0, 4, 3}).arrival(), "constant") << "what such gaps are";
}

TEST(LoadShapeTest, ClientThreadsFollowTheLoad) {
  LoadShapeOptions options;
  EXPECT_EQ(ClientThreads(options, {1, 10}), 1u);
  EXPECT_EQ(ClientThreads(options, {256, 10}), 1u);
  EXPECT_GE(ClientThreads(options, {65536, 65536}), 1u);
  options.client_threads = 7;
  EXPECT_EQ(ClientThreads(options, {1, 10}), 7u);
}

TEST(ConnectionLimitTest, ManyAreAllowedAndTooManyNamed) {
  EXPECT_TRUE(AllowConnections(1).ok());
  EXPECT_THAT(std::string(AllowConnections(uint64_t{1} << 62).message()),
              HasSubstr("4611686018427387904 connections at once need"));
}

// Figures are this machine's: only that there are some, and that a token is never early.
TEST(CalibrationTest, EveryTransportIsMeasured) {
  const std::atomic<bool> stop{false};
  for (const CalibrationSetup& setup : {CalibrationSetup{true, StreamMode::kMultiplexed, 2},
                                        CalibrationSetup{false, StreamMode::kMultiplexed, 1},
                                        CalibrationSetup{false, StreamMode::kPerRequest, 2}}) {
    const auto calibration = CalibrateClient(setup, stop);
    ASSERT_TRUE(calibration.ok()) << calibration.status();
    EXPECT_GT(calibration->max_events_per_s(), 0);
    EXPECT_GT(calibration->timestamp_error_us().minimum(), 0);
    EXPECT_GE(calibration->timestamp_error_us().p99(), calibration->timestamp_error_us().p50());
    EXPECT_THAT(CalibrationLine(*calibration), HasSubstr(calibration->transport()));
    std::cout << CalibrationLine(*calibration) << "\n";
  }
}

TEST(CalibrationTest, CtrlCEndsIt) {
  const std::atomic<bool> stop{true};
  EXPECT_EQ(CalibrateClient({}, stop).status().code(), absl::StatusCode::kCancelled);
}

}  // namespace
}  // namespace regatta
