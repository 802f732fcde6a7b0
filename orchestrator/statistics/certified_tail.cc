// Tails of the binomial distribution; see certified_tail.h.
#include "orchestrator/statistics/certified_tail.h"

#include <algorithm>
#include <boost/math/special_functions/beta.hpp>
#include <cmath>

#include "common/check.h"
#include "orchestrator/statistics/quantiles.h"

namespace regatta {
namespace {

constexpr double kDoubt = 0.01;

// P(Binomial(n, 1 - quantile) <= exceeding): the chance that so few of n samples exceed the true
// quantile.
double ChanceOfSoFew(uint64_t n, double quantile, uint64_t exceeding) {
  if (exceeding >= n) return 1;
  return boost::math::ibeta(static_cast<double>(n - exceeding), exceeding + 1.0, quantile);
}

}  // namespace

uint32_t SamplesNeeded(double quantile) {
  CHECK(quantile > 0 && quantile < 1) << quantile;
  uint64_t too_few = 1, enough = 2;
  while (ChanceOfSoFew(enough, quantile, 1) > kDoubt) {
    too_few = enough;
    enough *= 2;
  }
  while (enough - too_few > 1) {
    const uint64_t middle = (too_few + enough) / 2;
    (ChanceOfSoFew(middle, quantile, 1) > kDoubt ? too_few : enough) = middle;
  }
  return static_cast<uint32_t>(enough);
}

CertifiedTail CertifyTail(const std::string& metric, double quantile, std::vector<double> samples) {
  CertifiedTail tail;
  tail.set_metric(metric);
  tail.set_quantile(quantile);
  tail.set_samples(samples.size());
  tail.set_samples_needed(SamplesNeeded(quantile));
  if (samples.empty()) return tail;
  std::sort(samples.begin(), samples.end());
  tail.set_estimate(Quantile(samples, quantile));
  if (samples.size() < tail.samples_needed()) return tail;
  uint64_t exceeding = 1, too_many = samples.size();
  while (too_many - exceeding > 1) {
    const uint64_t middle = (exceeding + too_many) / 2;
    (ChanceOfSoFew(samples.size(), quantile, middle) > kDoubt ? too_many : exceeding) = middle;
  }
  tail.set_bound(samples[samples.size() - 1 - exceeding]);
  return tail;
}

}  // namespace regatta
