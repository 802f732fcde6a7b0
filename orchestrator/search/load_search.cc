// The search on a session; see load_search.h.
#include "orchestrator/search/load_search.h"

#include <algorithm>
#include <iostream>

#include "absl/strings/str_cat.h"
#include "common/check.h"
#include "common/status_macros.h"
#include "orchestrator/benchmark/sweep.h"

namespace regatta {
namespace {

// Writes down why each load was chosen, which the measurements before it say, and what comes next.
NextLoad NoteSearch(const SearchPlan& plan, SweepReport& sweep) {
  SearchReport search;
  std::vector<MeasuredLoad> measured;
  NextLoad next = ChooseNextLoad(plan.limits, measured);
  for (const PointReport* run : RunsOf(sweep, kSearchRole)) {
    SearchedLoad& load = *search.add_loads();
    load.set_concurrency(run->regatta().concurrency());
    load.set_reason(next.reason);
    measured.push_back(AsMeasuredLoad(*run, plan.goals));
    next = ChooseNextLoad(plan.limits, measured);
  }
  search.set_knee(KneeOf(measured));
  if (!next.concurrency) search.set_ended(next.reason);
  *sweep.mutable_search() = std::move(search);
  return next;
}

}  // namespace

LoadPoint SearchedPoint(uint32_t concurrency, uint32_t asked_requests) {
  constexpr uint32_t kLeastRounds = 2;
  CHECK(concurrency > 0);
  const uint32_t requests = asked_requests > 0 ? asked_requests : *RequestsAt(concurrency, 0);
  const uint32_t rounds = std::max(kLeastRounds, (requests + concurrency - 1) / concurrency);
  return {concurrency, rounds * concurrency};
}

absl::StatusOr<std::vector<LoadPoint>> ForeseenLoads(const SearchLimits& limits, uint32_t overload,
                                                     uint32_t asked_requests) {
  const uint32_t largest = kMaxConcurrency / overload;
  if (limits.max_concurrency > largest) {
    return absl::InvalidArgumentError(absl::StrCat("--max-concurrency is ", limits.max_concurrency,
                                                   ", must be at most ", largest));
  }
  return std::vector<LoadPoint>{SearchedPoint(overload * limits.max_concurrency, asked_requests)};
}

absl::Status MeasureOnce(uint32_t concurrency, uint32_t repeat, const std::string& role,
                         BenchmarkSession& session, const std::atomic<bool>& stop) {
  PlannedLoad load;
  load.point = SearchedPoint(concurrency, session.options().num_requests);
  load.repeat = repeat;
  load.role = role;
  RETURN_IF_ERROR(session.Measure(load, {}));
  return stop.load() ? absl::CancelledError("interrupted") : absl::OkStatus();
}

absl::Status SearchLoads(const SearchPlan& plan, BenchmarkSession& session,
                         const std::atomic<bool>& stop) {
  for (;;) {
    const NextLoad next = NoteSearch(plan, session.mutable_sweep());
    if (!next.concurrency) {
      std::cerr << "Search: " << next.reason << "\n";
      return absl::OkStatus();
    }
    std::cerr << "Search: " << *next.concurrency << (*next.concurrency == 1 ? " user" : " users")
              << " next (" << next.reason << ")\n";
    RETURN_IF_ERROR(MeasureOnce(*next.concurrency, 1, kSearchRole, session, stop));
  }
}

}  // namespace regatta
