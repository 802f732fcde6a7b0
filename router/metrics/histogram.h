// Counters and histograms that one thread writes and any thread reads: no lock, no
// read-modify-write instruction, so that a hot loop can record what it does. Readers see every
// value late by nanoseconds at most, and none twice.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <vector>

namespace regatta {

// Written by one thread, or by several that take turns under a lock of theirs.
template <typename T>
class Tally {
 public:
  void Add(T amount) { Set(Get() + amount); }
  void Set(T value) { value_.store(value, std::memory_order_relaxed); }
  T Get() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<T> value_ = 0;
};

// What histograms of equal bounds come to together.
struct HistogramTotals {
  std::vector<uint64_t> counts;  // by bucket, not cumulative; the last is above all bounds
  double sum = 0;

  uint64_t count() const;
  HistogramTotals& operator+=(const HistogramTotals& other);
};

// Observations by bucket. As Prometheus has it, a bucket holds what is greater than the bound
// before it and at most its own.
class Histogram {
 public:
  // `bounds` ascend strictly.
  explicit Histogram(std::vector<double> bounds);

  // `count` observations of `value`. Of the writing thread.
  void Observe(double value, uint64_t count = 1) {
    // Successive observations are mostly alike: tokens of one step took as long as the step.
    if (!(value > above_ && value <= upto_)) Find(value);
    counts_[bucket_].Add(count);
    sum_.Add(value * static_cast<double>(count));
  }

  // Adds what has been observed to `totals`, which is empty or of the same bounds.
  void AddTo(HistogramTotals& totals) const;

 private:
  void Find(double value);

  const std::vector<double> bounds_;
  const std::unique_ptr<Tally<uint64_t>[]> counts_;
  Tally<double> sum_;
  // Of the writing thread: the bucket of the last observation, and what falls into it.
  size_t bucket_ = 0;
  double above_ = std::numeric_limits<double>::infinity();
  double upto_ = 0;
};

}  // namespace regatta
