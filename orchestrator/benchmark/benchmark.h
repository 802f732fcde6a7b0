// One benchmark run with loads that are known beforehand, measured one after another. The flow of
// `regatta throughput` and `regatta sweep`.
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
  std::string directory;  // of the run itself; empty = a new one in options.output
  std::string resume;     // directory of a run to go on with; empty = a new one
};

// Runs it; reports on stdout, progress and notes on stderr. Returns the exit code.
int RunBenchmark(const BenchmarkOptions& options, const BenchmarkPlan& plan);

}  // namespace regatta
