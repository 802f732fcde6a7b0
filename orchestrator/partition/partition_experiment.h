// The flow of an experiment over layouts: for each precision, rounds of successive halving, a sweep
// of the layouts that are left, and after all of them which layout wins at which speed.
#pragma once

#include <atomic>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "orchestrator/benchmark/sweep.h"
#include "orchestrator/partition/candidates.h"
#include "orchestrator/partition/partition_bench.h"

namespace regatta {

struct ExperimentPlan {
  std::vector<LoadPoint> points;  // of the final sweep, ascending in concurrency
  uint32_t rounds = 2;            // of successive halving before it; 0 = every layout is swept
  uint32_t repeats = 1;           // runs of each point of the final sweep, in blocks of drawn order
  uint64_t seed = 0;              // of that order
  double margin = 0.1;            // within which of the best no layout is dropped, 0..1
  std::vector<double> user_speeds = {20, 50, 100};  // tok/s, of the table at equal speed
  double max_ttft_ms = 2000;                        // of users at a speed
  PartitionReport begun;  // as far as a run that goes on had come: what failed there is not retried
};

// The candidates as results list them, none with a fate but those that are impossible.
void DescribeCandidates(const CandidateInput& input, const std::vector<Candidate>& candidates,
                        const ExperimentPlan& plan, PartitionReport& partition);

// Runs it over the candidates that were not dropped; bench.sweep() has been described. Precisions
// do not compete: each keeps the layouts that are best among its own, since a precision is chosen
// for more than speed. A layout that does not form, or dies, is recorded with its error, and the
// experiment goes on. `say` gets lines for people. Ends early, with what is there compared, when
// `stop` turns true. Goes on where an experiment was cut short: its runs are in sweep().runs(),
// count as if they were measured now, and nothing is formed until one is missing. Errors:
// UNAVAILABLE when no layout could be measured, with the first error; DATA_LOSS when the runs are
// not those of this experiment.
absl::Status RunPartitionExperiment(const ExperimentPlan& plan,
                                    const std::vector<Candidate>& candidates,
                                    const std::function<void(const std::string&)>& say,
                                    const std::atomic<bool>& stop, PartitionBench& bench);

}  // namespace regatta
