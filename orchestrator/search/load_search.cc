// The search on a session; see load_search.h.
#include "orchestrator/search/load_search.h"

#include <algorithm>
#include <iostream>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/check.h"
#include "common/status_macros.h"
#include "orchestrator/benchmark/sweep.h"
#include "orchestrator/search/lengthening.h"

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

// What probably follows the load that is measured next.
std::vector<uint32_t> LoadsAfter(const SearchPlan& plan, const SweepReport& sweep) {
  const SearchForecast forecast =
      ForecastSearch(plan.limits, plan.goals, RunsOf(sweep, kSearchRole));
  if (forecast.loads.empty()) return {};
  std::vector<uint32_t> loads(forecast.loads.begin() + 1, forecast.loads.end());
  const std::vector<uint32_t> then = plan.then(forecast);
  loads.insert(loads.end(), then.begin(), then.end());
  return loads;
}

}  // namespace

LoadPoint SearchedPoint(uint32_t concurrency, uint32_t asked_requests, uint32_t longer) {
  constexpr uint32_t kLeastRounds = 2;
  CHECK(concurrency > 0);
  const uint32_t requests = asked_requests > 0 ? asked_requests : *RequestsAt(concurrency, 0);
  const uint32_t rounds = std::max(kLeastRounds, (requests + concurrency - 1) / concurrency);
  return {concurrency, rounds * longer * concurrency};
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

void ExpectLoads(absl::Span<const uint32_t> loads, BenchmarkSession& session) {
  std::vector<LoadPoint> points;
  for (const uint32_t users : loads) {
    points.push_back(
        SearchedPoint(users, session.options().num_requests, LengthFactor(session.sweep(), users)));
  }
  session.Expect(std::move(points), /*seconds_beside=*/0);
}

absl::Status MeasureOnce(uint32_t concurrency, uint32_t repeat, const std::string& role,
                         BenchmarkSession& session, const std::atomic<bool>& stop) {
  PlannedLoad load;
  load.longer = LengthFactor(session.sweep(), concurrency);
  load.point = SearchedPoint(concurrency, session.options().num_requests, load.longer);
  load.repeat = repeat;
  load.role = role;
  RETURN_IF_ERROR(session.Measure(load, {}));
  return stop.load() ? absl::CancelledError("interrupted") : absl::OkStatus();
}

absl::Status SearchLoads(const SearchPlan& plan, BenchmarkSession& session,
                         const std::atomic<bool>& stop) {
  for (;;) {
    const bool again = SetAsideTooShort(plan.goals, session.mutable_sweep());
    const NextLoad next = NoteSearch(plan, session.mutable_sweep());
    if (!next.concurrency) {
      std::cerr << "Search: " << next.reason << "\n";
      return absl::OkStatus();
    }
    std::cerr << "Search: " << *next.concurrency << (*next.concurrency == 1 ? " user" : " users")
              << " next ("
              << (again ? "again, four times as long: it was too short to tell how many ran"
                        : next.reason)
              << ")\n";
    ExpectLoads(LoadsAfter(plan, session.sweep()), session);
    RETURN_IF_ERROR(MeasureOnce(*next.concurrency, 1, kSearchRole, session, stop));
  }
}

}  // namespace regatta
