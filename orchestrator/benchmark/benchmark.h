// One benchmark run with loads that are known beforehand, measured one after another. The flow of
// `regatta throughput` and `regatta sweep`.
#pragma once

#include <vector>

#include "orchestrator/benchmark/benchmark_options.h"
#include "orchestrator/benchmark/benchmark_session.h"
#include "orchestrator/benchmark/sweep.h"

namespace regatta {

struct BenchmarkPlan {
  std::vector<LoadPoint> points;
  bool unlimited = false;      // the only point sends everything at once (concurrency not limited)
  bool show_overview = false;  // table and frontier at the end
  RunRecord record;            // its loads are made of the points
};

// Runs it; reports on stdout, progress and notes on stderr. Returns the exit code.
int RunBenchmark(const BenchmarkOptions& options, const BenchmarkPlan& plan);

}  // namespace regatta
