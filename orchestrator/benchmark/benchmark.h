// One benchmark run: a cluster, a data set and load points, measured one after another, saved after
// each. The flow of `regatta throughput` and `regatta sweep`.
#pragma once

#include <string>
#include <vector>

#include "orchestrator/benchmark/benchmark_options.h"
#include "orchestrator/benchmark/sweep.h"

namespace regatta {

struct BenchmarkPlan {
  std::vector<LoadPoint> points;
  bool unlimited = false;      // the only point sends everything at once (concurrency not limited)
  bool show_overview = false;  // table and frontier at the end
  std::string command_line;    // that repeats the run
  std::string configuration;   // every flag with its value
  // --name=value of every flag that was given, for the journal.
  std::vector<std::string> flags;
  std::string resume;  // directory of a run to go on with; empty = a new one
};

// Runs it, after pulling a model that is named as on the Hub; reports on stdout, progress and notes
// on stderr. Returns the exit code.
int RunBenchmark(BenchmarkOptions options, const BenchmarkPlan& plan);

}  // namespace regatta
