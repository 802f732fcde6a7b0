// How an experiment drops layouts early: rounds over a few loads with growing budgets, each of
// which loses the worse half. Pure.
//
// Jamieson & Talwalkar 2016, "Non-stochastic Best Arm Identification and Hyperparameter
// Optimization" (successive halving). Theirs seeks the one best arm; ours seek all that are best at
// some speed, so an arm's loss is how far it stays below the best of all where it comes closest,
// and nothing within a margin of that is ever dropped.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "orchestrator/partition/speed_frontier.h"

namespace regatta {

// Which of `points` load points a round measures: from 0 on, 3, 5, 9, ... of them, spread evenly,
// the first and the last among them.
std::vector<size_t> RoundPoints(size_t points, uint32_t round);

// Requests of such a point when the final sweep sends `full` at `concurrency`: half of them in the
// last of `rounds`, a quarter in the one before, ...; at least one for each user.
uint32_t RoundRequests(uint32_t full, uint32_t concurrency, uint32_t round, uint32_t rounds);

// Which configurations go on, given what each was measured at in this round: the better half
// (rounded up) by shortfall, whatever comes within `margin` of the best at some speed, and what the
// client slowed, which may be better than it looks. One without points does not go on.
std::vector<bool> Survivors(const std::vector<SpeedFrontier>& frontiers, double margin);

}  // namespace regatta
