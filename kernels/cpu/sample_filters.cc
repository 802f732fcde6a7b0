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

// Takes tokens off a heap, so that only the kept ones are sorted.
void KeepTopP(float p, std::vector<float>& weights, std::vector<uint32_t>& ids) {
  ListLeft(weights, ids);
  double total = 0;
  for (const uint32_t id : ids) total += weights[id];
  const auto more_probable = MoreProbable(weights);
  const auto on_top_of = [&](uint32_t a, uint32_t b) { return more_probable(b, a); };
  std::make_heap(ids.begin(), ids.end(), on_top_of);
  auto heap_end = ids.end();
  double kept = 0;
  while (heap_end != ids.begin() && (heap_end == ids.end() || kept < p * total)) {
    std::pop_heap(ids.begin(), heap_end, on_top_of);
    kept += weights[*--heap_end];
  }
  for (auto id = ids.begin(); id != heap_end; ++id) weights[*id] = 0;
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
