// `regatta sweep --adaptive`: a sweep that chooses its loads itself.
#pragma once

#include "orchestrator/benchmark/benchmark_options.h"
#include "orchestrator/benchmark/benchmark_session.h"
#include "orchestrator/search/load_search.h"

namespace regatta {

// Searches, then measures what it found options.repeats - 1 times more, in drawn order; reports on
// stdout, progress on stderr. Returns the exit code.
int RunAdaptiveSweep(const BenchmarkOptions& options, const SearchPlan& plan, RunRecord record);

}  // namespace regatta
