// `regatta recommend`: which load serves a goal, what more users would see, which limits fit, and
// whether all of that holds when it is measured again.
#pragma once

#include "orchestrator/benchmark/benchmark_options.h"
#include "orchestrator/benchmark/benchmark_session.h"
#include "orchestrator/search/adaptive_search.h"
#include "orchestrator/search/goal.h"

namespace regatta {

struct RecommendPlan {
  Goal goal;
  SearchLimits limits;
  bool apply = false;  // give the server the tuned limits
};

// The largest multiple of the recommended load that is measured.
inline constexpr uint32_t kLargestOverload = 2;

// Searches; measures the best load options.repeats (at least two) times with fresh prompts, and
// the next one below while most of these runs miss the goal; measures 1.25 and 2 times that load;
// writes tuned.yaml into the run's directory. With `apply` the server gets the tuned limits, the
// three loads are measured again, and the limits of before are put back when a figure of the goal
// is worse (load_figures.h), when anything fails, or when the run is interrupted; by the next life
// of a run that was killed in between (record.resume). The answer is in
// the results and on stdout, progress on stderr. Returns the exit code.
int RunRecommendation(const BenchmarkOptions& options, const RecommendPlan& plan, RunRecord record);

}  // namespace regatta
