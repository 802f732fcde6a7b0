// The flags of `regatta recommend`, which `regatta submit recommend` takes as well.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "orchestrator/benchmark/benchmark_options.h"
#include "orchestrator/benchmark/sweep.h"
#include "orchestrator/search/adaptive_search.h"
#include "orchestrator/search/recommend.h"

namespace regatta {

struct RecommendFlags {
  BenchmarkOptions benchmark;
  std::string goal = "user-speed";
  std::optional<double> min_user_speed;
  SearchLimits search;
  bool apply = false;
  std::string resume;              // directory of a run to go on with; empty = a new one
  std::vector<std::string> given;  // GivenFlags of the command
};

// Binds them to `flags`, which must outlive `command`.
void AddRecommendFlags(CLI::App& command, RecommendFlags& flags);

// What is searched for, with `flags.benchmark` set to measure it. INVALID_ARGUMENT names the flag.
absl::StatusOr<RecommendPlan> RecommendPlanOf(RecommendFlags& flags);

// The largest loads that the search of `plan` may come to.
absl::StatusOr<std::vector<LoadPoint>> ForeseenLoadsOf(const RecommendPlan& plan,
                                                       const RecommendFlags& flags);

}  // namespace regatta
