// The runs of two sweeps, sorted by layout, precision and load, and set beside one another. Pure.
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
  std::string arm;   // "tp2 fp8" where a sweep has several layouts or precisions; else empty
  std::string load;  // LoadName, or "all loads", behind the arm
  bool paired = false;
  uint32_t failed_runs_a = 0, failed_runs_b = 0;
  // By repeat; where paired, as many of both, the i-th beside the i-th. Each entry has one run of
  // every load that is taken together. The runs belong to the sweeps.
  using Repeats = std::vector<std::vector<const PointReport*>>;
  Repeats a, b;

  // Geometric means over the loads taken together; 0 where a run has 0. Latencies are from when
  // requests were due only where every run of both sides tells that.
  MetricSamples SamplesOf(const ComparedMetric& metric) const;
};

struct MatchedRuns {
  std::vector<MatchedLoad> loads;  // that both have sound runs of, ascending arm by arm
  // That both measured, but one of them never without failures: with no runs to compare.
  std::vector<MatchedLoad> unsound;
  std::vector<std::string> only_a, only_b;  // loads and arms that the other did not measure
  std::vector<std::string> unmet;           // of A: only_a, and arms of which both have no stage
  std::vector<std::string> left_out;        // runs that are not compared, how many and why
};

// Where either has several layouts or precisions, like is held against like: only runs of one
// layout, precision and load meet, and of an experiment over layouts only those of the latest stage
// that both reached with that layout, the sweep in full or else a round of halving. Elsewhere the
// systems are what differs, and loads alone decide. Runs under tuned limits, those that were
// measured again because they were too short, and one that was cut off while it was measured
// (Journal) are left out. Sweeps must outlive the result.
MatchedRuns MatchRuns(const SweepReport& a, const SweepReport& b);

// The loads of each arm that has several taken together: of each side the repeats that are whole at
// all of them.
std::vector<MatchedLoad> AllLoads(const std::vector<MatchedLoad>& loads);

}  // namespace regatta
