// Sorting and interpolating; see quantiles.h.
#include "orchestrator/statistics/quantiles.h"

#include <algorithm>
#include <numeric>

#include "common/check.h"

namespace regatta {
namespace {

// Linear interpolation at `q` of `size` ascending samples, of which `at` gives one by index.
template <typename At>
double Interpolate(uint64_t size, double q, const At& at) {
  const double position = q * (size - 1);
  const uint64_t below = static_cast<uint64_t>(position);
  const uint64_t above = std::min(below + 1, size - 1);
  return at(below) + (position - below) * (at(above) - at(below));
}

template <typename QuantileAt>
Percentiles MakePercentiles(double average, const QuantileAt& quantile) {
  Percentiles result;
  result.set_minimum(quantile(0.0));
  result.set_maximum(quantile(1.0));
  result.set_average(average);
  result.set_p50(quantile(0.50));
  result.set_p90(quantile(0.90));
  result.set_p95(quantile(0.95));
  result.set_p99(quantile(0.99));
  return result;
}

}  // namespace

double Mean(absl::Span<const double> samples) {
  if (samples.empty()) return 0;
  return std::accumulate(samples.begin(), samples.end(), 0.0) / samples.size();
}

double Ratio(double numerator, double denominator) {
  return denominator > 0 ? numerator / denominator : 0;
}

double Quantile(absl::Span<const double> sorted, double q) {
  CHECK(!sorted.empty());
  CHECK(q >= 0 && q <= 1) << q;
  return Interpolate(sorted.size(), q, [&](uint64_t index) { return sorted[index]; });
}

double QuantileOf(std::vector<double> samples, double q) {
  if (samples.empty()) return 0;
  std::sort(samples.begin(), samples.end());
  return Quantile(samples, q);
}

std::vector<double> EvenQuantiles(std::vector<double> samples, size_t count) {
  CHECK_GE(count, 2u);
  std::vector<double> quantiles;
  if (samples.empty()) return quantiles;
  std::sort(samples.begin(), samples.end());
  for (size_t i = 0; i < count; ++i) {
    quantiles.push_back(Quantile(samples, static_cast<double>(i) / (count - 1)));
  }
  return quantiles;
}

Percentiles Summarize(std::vector<double> samples) {
  if (samples.empty()) return Percentiles();
  std::sort(samples.begin(), samples.end());
  return MakePercentiles(Mean(samples), [&](double q) { return Quantile(samples, q); });
}

Percentiles SummarizeBySample(std::vector<double> samples) {
  if (samples.empty()) return Percentiles();
  std::sort(samples.begin(), samples.end());
  return MakePercentiles(Mean(samples), [&](double q) {
    return samples[std::min(static_cast<size_t>(q * samples.size()), samples.size() - 1)];
  });
}

Percentiles SummarizeCounted(std::vector<CountedSample> samples) {
  std::sort(samples.begin(), samples.end(),
            [](const CountedSample& a, const CountedSample& b) { return a.value < b.value; });
  std::vector<uint64_t> up_to;  // how many samples the pairs up to this one stand for
  up_to.reserve(samples.size());
  uint64_t size = 0;
  double sum = 0;
  for (const CountedSample& sample : samples) {
    up_to.push_back(size += sample.count);
    sum += static_cast<double>(sample.value) * sample.count;
  }
  if (size == 0) return Percentiles();
  const auto at = [&](uint64_t index) -> double {
    return samples[std::upper_bound(up_to.begin(), up_to.end(), index) - up_to.begin()].value;
  };
  return MakePercentiles(sum / size, [&](double q) { return Interpolate(size, q, at); });
}

}  // namespace regatta
