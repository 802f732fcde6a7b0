// Student's t; see intervals.h.
#include "orchestrator/statistics/intervals.h"

#include <boost/math/distributions/students_t.hpp>
#include <cmath>
#include <numeric>

#include "common/check.h"
#include "orchestrator/statistics/quantiles.h"

namespace regatta {
namespace {

constexpr double kConfidence = 0.95;
constexpr size_t kBatches = 10;
constexpr size_t kLeastPerBatch = 3;

// `parts`: independent ones that `error`, the standard error of the mean, was estimated from.
Interval IntervalOf(const std::string& metric, double mean, double error, size_t parts) {
  const boost::math::students_t distribution(parts - 1.0);
  const double half = boost::math::quantile(distribution, (1 + kConfidence) / 2) * error;
  Interval interval;
  interval.set_metric(metric);
  interval.set_mean(mean);
  interval.set_low(mean - half);
  interval.set_high(mean + half);
  interval.set_confidence(kConfidence);
  interval.set_samples(parts);
  return interval;
}

}  // namespace

std::optional<Interval> MeanInterval(const std::string& metric, absl::Span<const double> samples) {
  if (samples.size() < 2) return std::nullopt;
  const double mean = Mean(samples);
  double squares = 0;
  for (double sample : samples) squares += (sample - mean) * (sample - mean);
  const double error = std::sqrt(squares / (samples.size() - 1.0) / samples.size());
  return IntervalOf(metric, mean, error, samples.size());
}

std::optional<Interval> BatchMeansInterval(const std::string& metric,
                                           absl::Span<const double> samples) {
  if (samples.size() < kBatches * kLeastPerBatch) return std::nullopt;
  const double mean = Mean(samples);
  double squares = 0;
  for (size_t batch = 0; batch < kBatches; ++batch) {
    const size_t begin = batch * samples.size() / kBatches;
    const size_t size = (batch + 1) * samples.size() / kBatches - begin;
    const double off = Mean(samples.subspan(begin, size)) - mean;
    squares += size * off * off;
  }
  const double error = std::sqrt(squares / (kBatches - 1) / samples.size());
  return IntervalOf(metric, mean, error, kBatches);
}

std::optional<Interval> BatchRatioInterval(const std::string& metric,
                                           absl::Span<const double> numerators,
                                           absl::Span<const double> denominators) {
  CHECK_EQ(numerators.size(), denominators.size());
  const size_t samples = numerators.size();
  const double total = std::accumulate(denominators.begin(), denominators.end(), 0.0);
  if (samples < kBatches * kLeastPerBatch || total <= 0) return std::nullopt;
  const double ratio = std::accumulate(numerators.begin(), numerators.end(), 0.0) / total;
  double squares = 0;
  for (size_t batch = 0; batch < kBatches; ++batch) {
    double off = 0;
    for (size_t i = batch * samples / kBatches; i < (batch + 1) * samples / kBatches; ++i) {
      off += numerators[i] - ratio * denominators[i];
    }
    squares += off * off;
  }
  const double error = std::sqrt(squares * kBatches / (kBatches - 1)) / total;
  return IntervalOf(metric, ratio, error, kBatches);
}

const Interval* FindInterval(const google::protobuf::RepeatedPtrField<Interval>& intervals,
                             absl::string_view metric) {
  for (const Interval& interval : intervals) {
    if (interval.metric() == metric) return &interval;
  }
  return nullptr;
}

}  // namespace regatta
