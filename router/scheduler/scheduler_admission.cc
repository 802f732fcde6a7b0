// Windows, buckets and margins behind the forecasts; see scheduler_admission.h.
#include "router/scheduler/scheduler_admission.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "common/check.h"

namespace regatta {
namespace {

constexpr size_t kPriorObservations = 16;
constexpr size_t kWindow = 256;

constexpr int kBucketBits = 4;  // 2^(kBucketBits - 1) buckets an octave
constexpr size_t kBuckets = ((32 - kBucketBits) << (kBucketBits - 1)) + (1 << kBucketBits);

constexpr double kMarginStep = 0.01;
constexpr double kMarginLimit = 0.5;
constexpr double kMarginDecay = 1.0 - 1.0 / 512;

size_t BucketOf(uint32_t remaining) {
  const int shift = std::max(0, static_cast<int>(std::bit_width(remaining)) - kBucketBits);
  return (static_cast<size_t>(shift) << (kBucketBits - 1)) + (remaining >> shift);
}

}  // namespace

LengthModel::LengthModel(uint32_t expected_outputs) {
  for (size_t i = 0; i < kPriorObservations; ++i) {
    const double quantile = (i + 0.5) / kPriorObservations;
    const auto outputs =
        static_cast<uint32_t>(std::lround(-std::log(1 - quantile) * expected_outputs));
    // Half of the prior ran to its bound: whether max_tokens is a length or only a fence is not
    // known either.
    window_.push_back({std::max(outputs, 1u), i % 2 == 0});
    Count(window_.back(), +1);
  }
}

void LengthModel::Count(const Observation& observation, int sign) {
  all_outputs_ += sign * static_cast<int64_t>(observation.outputs);
  if (observation.reached_bound) return;
  stopped_ += sign;
  stopped_outputs_ += sign * static_cast<int64_t>(observation.outputs);
}

void LengthModel::Observe(uint32_t outputs, bool reached_bound) {
  const Observation observation{outputs, reached_bound};
  Count(observation, +1);
  if (oldest_ >= kPriorObservations && window_.size() < kWindow) {
    window_.push_back(observation);
    if (window_.size() == kWindow) oldest_ = 0;
    return;
  }
  Count(window_[oldest_], -1);
  window_[oldest_] = observation;
  if (++oldest_ == kWindow) oldest_ = 0;
}

uint32_t LengthModel::Predict(uint64_t draw, uint32_t outputs, uint32_t bound, bool bounded) const {
  // Multiples of the golden ratio spread consecutive draws evenly over the window (Weyl's
  // sequence).
  const auto spread = static_cast<uint32_t>(draw * 0x9E3779B97F4A7C15u >> 32);
  size_t i = static_cast<size_t>(uint64_t{spread} * window_.size() >> 32);
  for (size_t tried = 0; tried < window_.size(); ++tried) {
    const Observation& like = window_[i];
    if (bounded && like.reached_bound) return bound;
    if (like.outputs > outputs) return std::min(like.outputs, bound);
    if (++i == window_.size()) i = 0;
  }
  // Further than any: what lasted long will last (half as long again).
  return static_cast<uint32_t>(std::min<uint64_t>(bound, uint64_t{outputs} + outputs / 2 + 1));
}

uint32_t LengthModel::Mean(uint32_t bound, bool bounded) const {
  if (!bounded)
    return std::min<uint64_t>(bound, std::max<uint64_t>(1, all_outputs_ / window_.size()));
  const uint64_t stopped_mean =
      stopped_ == 0 ? bound : std::max<uint64_t>(1, stopped_outputs_ / stopped_);
  const uint64_t stopped_part = stopped_ * std::min<uint64_t>(bound, stopped_mean);
  const uint64_t bound_part = (window_.size() - stopped_) * bound;
  return static_cast<uint32_t>((stopped_part + bound_part) / window_.size());
}

MemoryForecast::MemoryForecast() : buckets_(kBuckets) {}

void MemoryForecast::Reset(uint64_t fixed) {
  fixed_ = fixed;
  std::fill_n(buckets_.begin(), used_buckets_, Bucket{});
  used_buckets_ = 0;
}

void MemoryForecast::Add(uint64_t held, uint32_t remaining) {
  const size_t i = BucketOf(remaining);
  used_buckets_ = std::max(used_buckets_, i + 1);
  Bucket& bucket = buckets_[i];
  ++bucket.count;
  bucket.held += held;
  bucket.remaining += remaining;
}

uint64_t MemoryForecast::PeakWith(uint64_t held, uint32_t remaining) const {
  // From the last end to the first: what still runs at each end, grown by the time until then.
  uint64_t peak = held + remaining, count = 0, sum = 0;
  bool counted = false;
  for (size_t i = used_buckets_; i-- > 0;) {
    const Bucket& bucket = buckets_[i];
    if (bucket.count == 0) continue;
    const uint64_t time = bucket.remaining / bucket.count;
    if (!counted && time <= remaining) {
      peak = std::max(peak, sum + held + (count + 1) * remaining);
      counted = true;
      ++count;
      sum += held;
    }
    count += bucket.count;
    sum += bucket.held;
    peak = std::max(peak, sum + count * time);
  }
  if (!counted) peak = std::max(peak, sum + held + (count + 1) * remaining);
  return fixed_ + std::max(peak, sum + (counted ? 0 : held));
}

void SafetyMargin::OnPreemption() { fraction_ = std::min(kMarginLimit, fraction_ + kMarginStep); }

void SafetyMargin::OnStep() { fraction_ *= kMarginDecay; }

}  // namespace regatta
