// Arrival times: their distribution, their ramps, and that they depend on nothing but the options.
#include "orchestrator/load/arrivals.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

namespace regatta {
namespace {

using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr uint32_t kMany = 100'001;

ArrivalOptions At(double rate, ArrivalProcess process, double burstiness = 1) {
  ArrivalOptions options;
  options.process = process;
  options.rate = rate;
  options.burstiness = burstiness;
  options.seed = 7;
  return options;
}

struct Moments {
  double mean = 0, variation = 0;  // coefficient of variation
};

// Of the gaps, in seconds.
Moments GapMoments(const std::vector<int64_t>& times) {
  double sum = 0, squares = 0;
  for (size_t i = 1; i < times.size(); ++i) {
    const double gap = (times[i] - times[i - 1]) / 1e9;
    sum += gap;
    squares += gap * gap;
  }
  const double n = times.size() - 1.0;
  const double mean = sum / n;
  return {mean, std::sqrt(squares / n - mean * mean) / mean};
}

TEST(ArrivalsTest, ConstantGapsAreExact) {
  EXPECT_THAT(ArrivalTimesNs(At(8, ArrivalProcess::kConstant), 4),
              ElementsAre(0, 125'000'000, 250'000'000, 375'000'000));
}

TEST(ArrivalsTest, AnInfiniteRateSendsAllAtOnce) {
  const double inf = std::numeric_limits<double>::infinity();
  EXPECT_THAT(ArrivalTimesNs(At(inf, ArrivalProcess::kPoisson), 5), Each(0));
}

// The mean is 1 / rate, the coefficient of variation 1 / sqrt(burstiness); 100,000 gaps bring both
// within 3 % unless the draws are wrong (the draws are fixed: this cannot flake).
TEST(ArrivalsTest, GapsHaveTheAskedDistribution) {
  const Moments poisson = GapMoments(ArrivalTimesNs(At(50, ArrivalProcess::kPoisson), kMany));
  EXPECT_NEAR(poisson.mean, 0.02, 0.02 * 0.02);
  EXPECT_NEAR(poisson.variation, 1, 0.02);
  for (double shape : {0.1, 0.5, 1.0, 4.0, 100.0, 1e6}) {
    const Moments gamma = GapMoments(ArrivalTimesNs(At(50, ArrivalProcess::kGamma, shape), kMany));
    EXPECT_NEAR(gamma.mean, 0.02, 0.02 * 0.03) << shape;
    EXPECT_NEAR(gamma.variation * std::sqrt(shape), 1, 0.03) << shape;
  }
}

// Of exponential gaps a share of 1 - exp(-x) is below x times the mean.
TEST(ArrivalsTest, PoissonGapsAreExponential) {
  const std::vector<int64_t> times = ArrivalTimesNs(At(1, ArrivalProcess::kPoisson), kMany);
  for (double x : {0.1, 0.7, 1.5, 3.0}) {
    int below = 0;
    for (size_t i = 1; i < times.size(); ++i) below += times[i] - times[i - 1] < x * 1e9;
    EXPECT_NEAR(below / (kMany - 1.0), 1 - std::exp(-x), 0.005) << x;
  }
}

TEST(ArrivalsTest, ExtremeShapesStayOrdered) {
  const double inf = std::numeric_limits<double>::infinity();
  for (double shape : {0.001, 1e6, inf}) {
    const auto times = ArrivalTimesNs(At(1e6, ArrivalProcess::kGamma, shape), 5000);
    EXPECT_TRUE(std::is_sorted(times.begin(), times.end())) << shape;
    EXPECT_GE(times.front(), 0);
  }
  EXPECT_EQ(ArrivalTimesNs(At(10, ArrivalProcess::kGamma, inf), 3),
            ArrivalTimesNs(At(10, ArrivalProcess::kConstant), 3));
  const auto slow = ArrivalTimesNs(At(1e-300, ArrivalProcess::kPoisson), 3);
  EXPECT_GT(slow[1], 0);
}

TEST(ArrivalsTest, RampsGoFromTheStartToTheRate) {
  ArrivalOptions options = At(100, ArrivalProcess::kConstant);
  options.ramp_up_start_rate = 1;
  options.ramp_up = RampUp::kLinear;
  auto times = ArrivalTimesNs(options, 102);
  EXPECT_EQ(times[1] - times[0], 1'000'000'000);
  EXPECT_NEAR(times[51] - times[50], 1e9 / 50.5, 1);
  EXPECT_NEAR(times[101] - times[100], 1e9 / 100, 1);
  options.ramp_up = RampUp::kExponential;
  times = ArrivalTimesNs(options, 102);
  EXPECT_EQ(times[1] - times[0], 1'000'000'000);
  EXPECT_NEAR(times[51] - times[50], 1e9 / 10, 1);
  EXPECT_NEAR(times[101] - times[100], 1e9 / 100, 1);
}

TEST(ArrivalsTest, ALongerPointBeginsLikeAShorterOne) {
  const ArrivalOptions options = At(3, ArrivalProcess::kGamma, 0.5);
  auto longer = ArrivalTimesNs(options, 100);
  longer.resize(20);
  EXPECT_EQ(longer, ArrivalTimesNs(options, 20));
  ArrivalOptions other = options;
  other.seed = 8;
  EXPECT_NE(longer, ArrivalTimesNs(other, 20));
}

TEST(ArrivalsTest, ErrorsNameFlagValueAndLimit) {
  const auto message = [](const ArrivalOptions& options) {
    return std::string(CheckArrivals(options).message());
  };
  EXPECT_TRUE(CheckArrivals(At(1, ArrivalProcess::kPoisson)).ok());
  EXPECT_THAT(message(At(0, ArrivalProcess::kPoisson)),
              HasSubstr("--request-rate is 0, must be above 0 and at most 1e+06, or inf"));
  EXPECT_THAT(message(At(std::nan(""), ArrivalProcess::kPoisson)), HasSubstr("--request-rate"));
  EXPECT_THAT(message(At(1, ArrivalProcess::kGamma, 0)), HasSubstr("--burstiness is 0, must be"));
  EXPECT_THAT(message(At(1, ArrivalProcess::kPoisson, 2)),
              HasSubstr("--burstiness is 2, must be 1 unless --arrival is gamma"));
  ArrivalOptions ramp = At(1, ArrivalProcess::kPoisson);
  ramp.ramp_up = RampUp::kLinear;
  EXPECT_THAT(message(ramp), HasSubstr("--ramp-up-start-rps is 0"));
  ramp.rate = std::numeric_limits<double>::infinity();
  EXPECT_THAT(message(ramp), HasSubstr("must be finite"));
  EXPECT_THAT(std::string(ParseArrivalProcess("pareto").status().message()),
              HasSubstr("--arrival is 'pareto'"));
  EXPECT_THAT(std::string(ParseRampUp("sine").status().message()),
              HasSubstr("--ramp-up is 'sine'"));
}

}  // namespace
}  // namespace regatta
