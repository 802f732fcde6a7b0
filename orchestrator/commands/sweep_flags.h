// The flags of `regatta sweep`, which `regatta submit` takes as well.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "orchestrator/benchmark/benchmark_options.h"
#include "orchestrator/benchmark/sweep.h"
#include "orchestrator/search/adaptive_search.h"

namespace regatta {

struct SweepFlags {
  BenchmarkOptions benchmark;
  std::string concurrency;   // empty: 1:64:x2, or no cap on rates
  std::string request_rate;  // empty: points over concurrency
  bool adaptive = false;     // the search chooses the loads
  SearchLimits search;
  std::string resume;              // directory of a run to go on with; empty = a new one
  std::string run_dir;             // the run's own directory: begun or gone on with there
  std::vector<std::string> given;  // GivenFlags of the command
};

// Binds them to `flags`, which must outlive `command`.
void AddSweepFlags(CLI::App& command, SweepFlags& flags);

// The points that they ask for; the largest there may be where they are searched for.
// INVALID_ARGUMENT names the flag, its value and the limit.
absl::StatusOr<std::vector<LoadPoint>> PointsOf(const SweepFlags& flags);

}  // namespace regatta
