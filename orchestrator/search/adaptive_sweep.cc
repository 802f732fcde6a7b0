// Search and repeats; see adaptive_sweep.h.
#include "orchestrator/search/adaptive_sweep.h"

#include <algorithm>

#include "common/status_macros.h"
#include "orchestrator/benchmark/run_order.h"
#include "orchestrator/commands/commands.h"
#include "orchestrator/terminal/interrupt.h"

namespace regatta {
namespace {

// All loads in blocks of drawn order; the first block was the search.
absl::Status RepeatLoads(BenchmarkSession& session, const std::atomic<bool>& stop) {
  std::vector<uint32_t> loads;
  for (const PointReport* run : RunsOf(session.sweep(), kSearchRole)) {
    loads.push_back(run->regatta().concurrency());
  }
  std::sort(loads.begin(), loads.end());
  const BenchmarkOptions& options = session.options();
  const std::vector<PlannedRun> order =
      DrawRunOrder(loads.size(), options.repeats, options.random_seed);
  for (size_t i = loads.size() + RunsOf(session.sweep(), "").size(); i < order.size(); ++i) {
    std::vector<uint32_t> left;
    for (size_t k = i + 1; k < order.size(); ++k) left.push_back(loads[order[k].point]);
    ExpectLoads(left, session);
    RETURN_IF_ERROR(MeasureOnce(loads[order[i].point], order[i].repeat, "", session, stop));
  }
  return absl::OkStatus();
}

// Every load options.repeats - 1 times more.
std::vector<uint32_t> Repeated(const SearchForecast& forecast, uint32_t repeats) {
  std::vector<uint32_t> loads;
  for (uint32_t repeat = 1; repeat < repeats; ++repeat) {
    loads.insert(loads.end(), forecast.searched.begin(), forecast.searched.end());
  }
  return loads;
}

}  // namespace

int RunAdaptiveSweep(const BenchmarkOptions& options, const SearchPlan& plan, RunRecord record) {
  const std::atomic<bool>& stop = InterruptFlag();
  const auto session = BenchmarkSession::Open(options, std::move(record), stop);
  if (!session.ok()) return ExitCodeOf(session.status());
  SearchPlan search = plan;
  search.then = [&](const SearchForecast& forecast) { return Repeated(forecast, options.repeats); };
  absl::Status status = SearchLoads(search, **session, stop);
  if (status.ok()) status = RepeatLoads(**session, stop);
  const absl::Status finished = (*session)->Finish(status.ok(), /*show_overview=*/true);
  if (status.ok()) status = finished;
  if (!status.ok()) return ExitCodeOf(status);
  return (*session)->failed_requests() > 0 ? kExitRequestsFailed : kExitOk;
}

}  // namespace regatta
