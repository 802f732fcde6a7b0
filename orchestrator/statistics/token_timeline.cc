// A counter for each millisecond; see token_timeline.h.
#include "orchestrator/statistics/token_timeline.h"

#include <algorithm>
#include <cmath>

namespace regatta {

void TokenTimeline::Add(double at_ms, uint32_t tokens) {
  const size_t bin = static_cast<size_t>(std::max(0.0, at_ms));
  if (bin >= tokens_.size()) tokens_.resize(bin + 1);
  tokens_[bin] += tokens;
}

void TokenTimeline::Merge(const TokenTimeline& other) {
  if (other.tokens_.size() > tokens_.size()) tokens_.resize(other.tokens_.size());
  for (size_t i = 0; i < other.tokens_.size(); ++i) tokens_[i] += other.tokens_[i];
}

double TokenTimeline::Between(double from_ms, double to_ms) const {
  const auto index = [this](double ms) {
    return static_cast<size_t>(std::clamp(std::ceil(ms), 0.0, 1.0 * tokens_.size()));
  };
  double sum = 0;
  for (size_t i = index(from_ms); i < index(to_ms); ++i) sum += tokens_[i];
  return sum;
}

uint64_t TokenTimeline::MostWithin(uint32_t window_ms) const {
  uint64_t sum = 0, most = 0;
  for (size_t i = 0; i < tokens_.size(); ++i) {
    sum += tokens_[i];
    if (i >= window_ms) sum -= tokens_[i - window_ms];
    most = std::max(most, sum);
  }
  return most;
}

}  // namespace regatta
