// Filters by selection; nothing is sorted.
#include "kernels/cpu/sample_filters.h"

#include <algorithm>
#include <cstddef>

namespace regatta {
namespace {

// Tokens that may still be drawn.
void ListLeft(const std::vector<float>& weights, std::vector<uint32_t>& ids) {
  ids.clear();
  for (size_t i = 0; i < weights.size(); ++i) {
    if (weights[i] > 0) ids.push_back(static_cast<uint32_t>(i));
  }
}

auto MoreProbable(const std::vector<float>& weights) {
  return [&weights](uint32_t a, uint32_t b) {
    return weights[a] > weights[b] || (weights[a] == weights[b] && a < b);
  };
}

}  // namespace

void KeepMinP(float min_p, std::vector<float>& weights) {
  for (float& weight : weights) weight = weight < min_p ? 0.0f : weight;
}

void KeepTopK(int k, std::vector<float>& weights, std::vector<uint32_t>& ids) {
  ListLeft(weights, ids);
  if (ids.size() <= static_cast<size_t>(k)) return;
  std::nth_element(ids.begin(), ids.begin() + k, ids.end(), MoreProbable(weights));
  for (auto id = ids.begin() + k; id != ids.end(); ++id) weights[*id] = 0;
}

// Halves the run of ids in which the last kept token lies, without sorting: linear time on average.
void KeepTopP(float p, std::vector<float>& weights, std::vector<uint32_t>& ids) {
  ListLeft(weights, ids);
  double total = 0;
  for (const uint32_t id : ids) total += weights[id];
  auto begin = ids.begin();  // kept up to here; they hold less than p of the total
  auto end = ids.end();      // dropped from here on
  double kept = 0;
  while (end - begin > 1) {
    const auto middle = begin + (end - begin) / 2;
    std::nth_element(begin, middle, end, MoreProbable(weights));
    double half = 0;
    for (auto id = begin; id != middle; ++id) half += weights[*id];
    if (kept + half >= p * total) {
      end = middle;
    } else {
      begin = middle;
      kept += half;
    }
  }
  for (auto id = end; id != ids.end(); ++id) weights[*id] = 0;
}

uint32_t Draw(double uniform, const std::vector<float>& weights, uint32_t fallback) {
  double total = 0;
  for (const float weight : weights) total += weight;
  const double target = uniform * total;
  double cumulative = 0;
  uint32_t last = fallback;
  for (size_t i = 0; i < weights.size(); ++i) {
    if (!(weights[i] > 0)) continue;
    last = static_cast<uint32_t>(i);
    cumulative += weights[i];
    if (cumulative > target) break;
  }
  return last;
}

}  // namespace regatta
