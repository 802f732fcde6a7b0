// The newest of many values, handed from the thread that measures to one that looks now and then.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <vector>

namespace regatta {

// One thread adds, others read at any time; neither ever waits.
class RecentValues {
 public:
  static constexpr uint64_t kKept = 128;

  void Add(double value) {
    const uint64_t added = added_.load(std::memory_order_relaxed);
    values_[added % kKept].store(static_cast<float>(value), std::memory_order_relaxed);
    added_.store(added + 1, std::memory_order_release);
  }

  // Appends what came after the first `seen` values, the newest kKept at most; returns how many
  // have come. A value that is overwritten meanwhile reads as the newer one.
  uint64_t Since(uint64_t seen, std::vector<double>& out) const {
    const uint64_t added = added_.load(std::memory_order_acquire);
    const uint64_t oldest = added - std::min(added, kKept);
    for (uint64_t i = std::max(seen, oldest); i < added; ++i) {
      out.push_back(values_[i % kKept].load(std::memory_order_relaxed));
    }
    return added;
  }

 private:
  std::array<std::atomic<float>, kKept> values_{};
  std::atomic<uint64_t> added_{0};
};

}  // namespace regatta
