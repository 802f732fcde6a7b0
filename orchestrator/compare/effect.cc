// Student's and Welch's t over logarithms; see effect.h.
#include "orchestrator/compare/effect.h"

#include <boost/math/distributions/students_t.hpp>
#include <cmath>
#include <vector>

#include "common/check.h"
#include "orchestrator/statistics/quantiles.h"

namespace regatta {
namespace {

struct Sample {
  double mean = 0;
  double squared_error = 0;  // of the mean: variance / n
  double degrees = 0;        // n - 1
};

Sample SampleOf(const std::vector<double>& values) {
  Sample sample;
  sample.mean = Mean(values);
  sample.degrees = values.size() - 1.0;
  if (values.size() < 2) return sample;
  double squares = 0;
  for (double value : values) squares += (value - sample.mean) * (value - sample.mean);
  sample.squared_error = squares / sample.degrees / values.size();
  return sample;
}

std::vector<double> Logarithms(absl::Span<const double> values) {
  std::vector<double> logarithms;
  for (double value : values) {
    CHECK(value > 0) << value;
    logarithms.push_back(std::log(value));
  }
  return logarithms;
}

Effect WithInterval(double mean, double squared_error, double degrees, double confidence) {
  const boost::math::students_t distribution(degrees);
  const double half =
      boost::math::quantile(distribution, (1 + confidence) / 2) * std::sqrt(squared_error);
  return {std::exp(mean), Effect::Bounds{std::exp(mean - half), std::exp(mean + half)}, confidence};
}

// Satterthwaite's degrees of freedom; where nothing varies any number gives the same interval.
double JointDegrees(const Sample& a, const Sample& b) {
  const double sum = a.squared_error + b.squared_error;
  if (sum <= 0) return 1;
  const double weight_a = a.squared_error / sum, weight_b = b.squared_error / sum;
  return 1 / (weight_a * weight_a / a.degrees + weight_b * weight_b / b.degrees);
}

}  // namespace

Effect PairedEffect(absl::Span<const double> a, absl::Span<const double> b, double confidence) {
  CHECK(!a.empty() && a.size() == b.size());
  std::vector<double> differences = Logarithms(b);
  const std::vector<double> log_a = Logarithms(a);
  for (size_t i = 0; i < differences.size(); ++i) differences[i] -= log_a[i];
  const Sample sample = SampleOf(differences);
  if (differences.size() < 2) return {std::exp(sample.mean), std::nullopt, 0};
  return WithInterval(sample.mean, sample.squared_error, sample.degrees, confidence);
}

Effect UnpairedEffect(absl::Span<const double> a, absl::Span<const double> b, double confidence) {
  CHECK(!a.empty() && !b.empty());
  const Sample of_a = SampleOf(Logarithms(a)), of_b = SampleOf(Logarithms(b));
  const double mean = of_b.mean - of_a.mean;
  if (a.size() < 2 || b.size() < 2) return {std::exp(mean), std::nullopt, 0};
  return WithInterval(mean, of_a.squared_error + of_b.squared_error, JointDegrees(of_a, of_b),
                      confidence);
}

Verdict Judge(const Effect& effect, bool higher_is_better, double margin) {
  if (!effect.interval.has_value()) return VERDICT_TOO_FEW_RUNS;
  const auto [low, high] = *effect.interval;
  if (low >= 1 / (1 + margin) && high <= 1 + margin) return VERDICT_SAME;
  if (low > 1) return higher_is_better ? VERDICT_BETTER : VERDICT_WORSE;
  if (high < 1) return higher_is_better ? VERDICT_WORSE : VERDICT_BETTER;
  return VERDICT_UNCLEAR;
}

}  // namespace regatta
