// Samples over time, few however long that is.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace regatta {

// Evenly thinned: whenever twice `max_samples` are held every second one goes, and so does every
// second one that comes.
template <typename Sample>
class ThinnedSeries {
 public:
  explicit ThinnedSeries(size_t max_samples) : max_samples_(max_samples) {}

  void Add(const Sample& sample) {
    if (seen_++ % stride_ != 0) return;
    samples_.push_back(sample);
    if (samples_.size() >= 2 * max_samples_) Thin();
  }

  // At most `max_samples`, in the order added.
  std::vector<Sample> Take() {
    if (samples_.size() > max_samples_) Thin();
    return std::move(samples_);
  }

 private:
  void Thin() {
    size_t kept = 0;
    for (size_t i = 0; i < samples_.size(); i += 2) samples_[kept++] = samples_[i];
    samples_.resize(kept);
    stride_ *= 2;
  }

  const size_t max_samples_;
  uint64_t seen_ = 0, stride_ = 1;
  std::vector<Sample> samples_;
};

// Of one column of a point's timeline.
inline constexpr size_t kMaxTimelineSamples = 600;

}  // namespace regatta
