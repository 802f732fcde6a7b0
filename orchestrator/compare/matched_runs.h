// The runs of two sweeps, sorted by load and set beside one another. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "orchestrator/compare/compared_metrics.h"
#include "proto/results.pb.h"

namespace regatta {

// One figure of every run that enters, in the order of their repeats.
struct MetricSamples {
  std::vector<double> a, b;
};

// The runs of one load, or of several together.
struct MatchedLoad {
  std::string load;  // LoadName, or "all loads"
  bool paired = false;
  uint32_t failed_runs_a = 0, failed_runs_b = 0;
  // By repeat; where paired, as many of both, the i-th beside the i-th. Each entry has one run of
  // every load that is taken together. The runs belong to the sweeps.
  std::vector<std::vector<const PointReport*>> a, b;

  // Geometric means over the loads taken together; 0 where a run has 0.
  MetricSamples SamplesOf(const ComparedMetric& metric) const;
};

struct MatchedRuns {
  std::vector<MatchedLoad> loads;    // that both have sound runs of, ascending
  std::vector<std::string> unsound;  // that both measured, but one of them never without failures
  std::vector<std::string> only_a, only_b;  // that the other did not measure
};

// Sweeps must outlive the result.
MatchedRuns MatchRuns(const SweepReport& a, const SweepReport& b);

// `loads` taken together: of each side the repeats that are whole at all of them.
MatchedLoad AllLoads(const std::vector<MatchedLoad>& loads);

}  // namespace regatta
