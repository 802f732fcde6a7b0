// Rounds to come; see experiment_forecast.h.
#include "orchestrator/partition/experiment_forecast.h"

#include "orchestrator/partition/successive_halving.h"

namespace regatta {
namespace {

void AddRound(const ExperimentPlan& plan, uint32_t round, size_t arms, ExpectedLoads& expected) {
  for (size_t arm = 0; arm < arms; ++arm) {
    for (const PlannedLoad& load : LoadsOfRound(plan, round)) expected.loads.push_back(load.point);
  }
  expected.formings += arms;
}

void AddSweep(const ExperimentPlan& plan, size_t arms, ExpectedLoads& expected) {
  for (size_t run = 0; run < arms * plan.repeats; ++run) {
    expected.loads.insert(expected.loads.end(), plan.points.begin(), plan.points.end());
  }
  expected.formings += arms;
}

// Rounds from `round` on, and the sweep of what they leave of `arms`.
void AddRoundsAndSweep(const ExperimentPlan& plan, uint32_t round, size_t arms,
                       ExpectedLoads& expected) {
  for (; round < plan.rounds && arms > kFewLayouts; ++round) {
    AddRound(plan, round, arms, expected);
    arms = (arms + 1) / 2;
  }
  AddSweep(plan, arms, expected);
}

}  // namespace

std::vector<PlannedLoad> LoadsOfRound(const ExperimentPlan& plan, uint32_t round) {
  std::vector<PlannedLoad> loads;
  for (const size_t i : RoundPoints(plan.points.size(), round)) {
    LoadPoint point = plan.points[i];
    point.requests = RoundRequests(point.requests, point.concurrency, round, plan.rounds);
    loads.push_back({point});
  }
  return loads;
}

ExpectedLoads ForecastExperiment(const ExperimentPlan& plan, const ExperimentAhead& ahead) {
  ExpectedLoads expected;
  if (ahead.round == 0) {
    AddSweep(plan, ahead.waiting, expected);
  } else {
    AddRound(plan, ahead.round - 1, ahead.waiting, expected);
    AddRoundsAndSweep(plan, ahead.round, (ahead.arms + 1) / 2, expected);
  }
  for (const size_t arms : ahead.later) AddRoundsAndSweep(plan, 0, arms, expected);
  return expected;
}

}  // namespace regatta
