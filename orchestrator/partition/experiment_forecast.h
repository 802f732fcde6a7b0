// What an experiment over layouts will probably measure yet. Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "orchestrator/benchmark/sweep.h"
#include "orchestrator/partition/partition_experiment.h"

namespace regatta {

inline constexpr size_t kFewLayouts = 2;  // no round is worth their formings

// The loads of a round of halving, from 0 on.
std::vector<PlannedLoad> LoadsOfRound(const ExperimentPlan& plan, uint32_t round);

// Behind the layout that is formed now.
struct ExperimentAhead {
  uint32_t round = 0;         // under way, from 1; 0 = the final sweep
  size_t arms = 0;            // layouts in it
  size_t waiting = 0;         // of those not begun
  std::vector<size_t> later;  // layouts of each precision that follows
};

struct ExpectedLoads {
  std::vector<LoadPoint> loads;
  size_t formings = 0;
};

// As if every round kept the better half (Survivors: at least that many go on).
ExpectedLoads ForecastExperiment(const ExperimentPlan& plan, const ExperimentAhead& ahead);

}  // namespace regatta
