// Measures load after load on an open benchmark session, each chosen from what those before it
// showed (adaptive_search.h).
#pragma once

#include <atomic>
#include <functional>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "orchestrator/benchmark/benchmark_session.h"
#include "orchestrator/search/adaptive_search.h"
#include "orchestrator/search/confirmation.h"
#include "orchestrator/search/goal.h"
#include "orchestrator/search/search_forecast.h"

namespace regatta {

struct SearchPlan {
  std::vector<Goal> goals;  // whose edges are looked for
  SearchLimits limits;
  // Loads that whoever searches will measure afterwards, for the estimate of what is left.
  std::function<std::vector<uint32_t>(const SearchForecast&)> then;
};

// A load of the search, which sends whole rounds of all its users so that they run together to the
// end: at least two, and at least `asked_requests` (0 = as many as any point has, RequestsAt),
// `longer` times.
LoadPoint SearchedPoint(uint32_t concurrency, uint32_t asked_requests, uint32_t longer = 1);

// For RunRecord.foreseen: `overload` times the largest load that the search may choose.
// INVALID_ARGUMENT when that is too large.
absl::StatusOr<std::vector<LoadPoint>> ForeseenLoads(const SearchLimits& limits, uint32_t overload,
                                                     uint32_t asked_requests);

// Measures until the search has ended and leaves its course in sweep().search. A session that was
// taken up goes on where it stopped. A load that is too short to tell whether it meets a goal is
// measured again, longer (lengthening.h). CANCELLED when `stop` turned true.
absl::Status SearchLoads(const SearchPlan& plan, BenchmarkSession& session,
                         const std::atomic<bool>& stop);

// Tells the session which loads will probably be measured after the next one.
void ExpectLoads(absl::Span<const uint32_t> loads, BenchmarkSession& session);

// Measures the load once more, as long as the search had to (lengthening.h). CANCELLED when `stop`
// turned true.
absl::Status MeasureOnce(uint32_t concurrency, uint32_t repeat, const std::string& role,
                         BenchmarkSession& session, const std::atomic<bool>& stop);

}  // namespace regatta
