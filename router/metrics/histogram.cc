// Buckets and their sums; see histogram.h.
#include "router/metrics/histogram.h"

#include <algorithm>
#include <functional>
#include <numeric>
#include <utility>

#include "common/check.h"

namespace regatta {

uint64_t HistogramTotals::count() const {
  return std::accumulate(counts.begin(), counts.end(), uint64_t{0});
}

HistogramTotals& HistogramTotals::operator+=(const HistogramTotals& other) {
  if (counts.empty()) counts.resize(other.counts.size());
  CHECK(counts.size() == other.counts.size() || other.counts.empty());
  for (size_t i = 0; i < other.counts.size(); ++i) counts[i] += other.counts[i];
  sum += other.sum;
  return *this;
}

Histogram::Histogram(std::vector<double> bounds)
    : bounds_(std::move(bounds)), counts_(std::make_unique<Tally<uint64_t>[]>(bounds_.size() + 1)) {
  CHECK(std::adjacent_find(bounds_.begin(), bounds_.end(), std::greater_equal<>()) ==
        bounds_.end());
}

void Histogram::Find(double value) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  bucket_ = std::lower_bound(bounds_.begin(), bounds_.end(), value) - bounds_.begin();
  above_ = bucket_ == 0 ? -kInfinity : bounds_[bucket_ - 1];
  upto_ = bucket_ == bounds_.size() ? kInfinity : bounds_[bucket_];
}

void Histogram::AddTo(HistogramTotals& totals) const {
  totals.counts.resize(bounds_.size() + 1);
  for (size_t i = 0; i < totals.counts.size(); ++i) totals.counts[i] += counts_[i].Get();
  totals.sum += sum_.Get();
}

}  // namespace regatta
