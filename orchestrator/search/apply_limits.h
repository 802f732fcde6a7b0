// Tries tuned limits on the server that was measured, and keeps them unless it got worse.
#pragma once

#include <atomic>

#include "absl/status/status.h"
#include "orchestrator/benchmark/benchmark_session.h"
#include "orchestrator/search/goal.h"
#include "orchestrator/search/load_figures.h"

namespace regatta {

// Gives the server the tuned limits of the session's recommendation, which is on the disk by then
// with those of before, measures its load as often as
// `before` has runs, and the overloads once. What was found goes into recommendation.applied; the
// limits of before are put back when a figure of the goal is worse, and on every error, which is
// returned (CANCELLED when `stop` turned true).
absl::Status ApplyLimits(const Goal& goal, Runs before, BenchmarkSession& session,
                         const std::atomic<bool>& stop);

// Gives the server the limits back with which `begun` was measured, where it was killed while the
// server had the tuned ones. Other limits are not its own, and stay.
absl::Status TakeBackLimits(const Recommendation& begun, BenchmarkSession& session);

}  // namespace regatta
