// Dummy routers whose experts are not equally popular, as trained ones are: what expert parallelism
// and grouped products must cope with.
#pragma once

#include <cstdint>
#include <vector>

namespace regatta {

// Scales for the rows of a router whose logits are independent and normal, such that about
// `experts_per_token` experts a token are chosen and the r-th most popular one (r from 1) by a
// share of tokens proportional to r^-skew, at most kMostPopular. Which expert has which rank
// follows from `key`. All 1 when skew is 0 or every expert is chosen.
std::vector<float> RouterRowScales(int experts, int experts_per_token, double skew, uint64_t key);

// Shares of tokens by rank that RouterRowScales aims at; they add up to experts_per_token, or to
// experts * kMostPopular where that is less.
std::vector<double> ExpertPopularity(int experts, int experts_per_token, double skew);

// Of a scaled row: its logit is negative half of the time.
inline constexpr double kMostPopular = 0.45;

}  // namespace regatta
