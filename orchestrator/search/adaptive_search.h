// Which load to measure next, from what was measured so far. Pure: no clock, no random numbers, so
// that a search that was killed goes on where it stopped when its measurements are shown again.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/types/span.h"

namespace regatta {

// A measured load as far as the search looks at it.
struct MeasuredLoad {
  uint32_t concurrency = 0;
  double throughput = 0;    // output tok/s per GPU
  double user_speed = 0;    // tok/s of one user, mean
  std::vector<bool> meets;  // by objective: a promise to users that holds at this load
};

struct SearchLimits {
  uint32_t max_points = 24;
  uint32_t max_concurrency = 1024;
  // To the end of what the system can do, with the frontier refined; else loads beyond the last
  // objective's edge are of no interest.
  bool whole_frontier = true;
  // Look for the smallest load with nearly the best throughput; without whole_frontier among those
  // that meet an objective.
  bool find_knee = true;
};

// Throughput counts as saturated when a doubling of the load changes it by less than this part, or
// two doublings bring less than that.
inline constexpr double kSaturatedGain = 0.03;
// An edge is found when its two sides differ by one user or this part.
inline constexpr double kEdgeTolerance = 0.05;
// The knee: the smallest load whose throughput is at least this part of the best.
inline constexpr double kKneeThroughput = 0.98;
// Neighbours on the frontier are near enough within this distance of the logarithms of (user
// speed, throughput): a factor of 1.5 in one of them.
inline constexpr double kFrontierGap = 0.405;

struct NextLoad {
  std::optional<uint32_t> concurrency;  // empty: the search has ended
  std::string reason;                   // why this load, or why the search has ended; for people
};

// The load to measure after `measured`, in any order, a load at most once. In this order: doubling
// from 1 until throughput is saturated and every objective is missed (without whole_frontier: or
// all are missed at two loads in a row); bisecting between the largest load that meets an objective
// and the next larger one, which misses it; bisecting below the knee; the widest gap of the
// frontier. With equal limits it depends on `measured` alone, and after each prefix of a search's
// measurements it names the next of them.
NextLoad ChooseNextLoad(const SearchLimits& limits, absl::Span<const MeasuredLoad> measured);

// The smallest measured load with at least kKneeThroughput of the best throughput; 0 where nothing
// was measured or nothing came.
uint32_t KneeOf(absl::Span<const MeasuredLoad> measured);

}  // namespace regatta
