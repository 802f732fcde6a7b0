// Filters of a token distribution: they set the weights of tokens that may not be drawn to zero.
// Weights are proportional to probabilities with the largest equal to 1; equal weights rank by
// lower id. `ids` is working memory that holds all tokens.
#pragma once

#include <cstdint>
#include <vector>

namespace regatta {

// Keeps tokens at least `min_p` times as probable as the most probable one (Nguyen et al. 2024).
void KeepMinP(float min_p, std::vector<float>& weights);

// Keeps the `k` most probable tokens (Fan et al. 2018).
void KeepTopK(int k, std::vector<float>& weights, std::vector<uint32_t>& ids);

// Keeps the fewest most probable tokens that together hold `p` of what is left (Holtzman et al.
// 2020); at least one.
void KeepTopP(float p, std::vector<float>& weights, std::vector<uint32_t>& ids);

// The token at `uniform` in [0, 1) of the cumulative distribution in order of id; `fallback` when
// nothing is left to draw.
uint32_t Draw(double uniform, const std::vector<float>& weights, uint32_t fallback);

}  // namespace regatta
