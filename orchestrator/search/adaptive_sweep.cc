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
    RETURN_IF_ERROR(MeasureOnce(loads[order[i].point], order[i].repeat, "", session, stop));
  }
  return absl::OkStatus();
}

}  // namespace

int RunAdaptiveSweep(const BenchmarkOptions& options, const SearchPlan& plan, RunRecord record) {
  const std::atomic<bool>& stop = InterruptFlag();
  const auto session = BenchmarkSession::Open(options, std::move(record), stop);
  if (!session.ok()) return ExitCodeOf(session.status());
  absl::Status status = SearchLoads(plan, **session, stop);
  if (status.ok()) status = RepeatLoads(**session, stop);
  const absl::Status finished = (*session)->Finish(status.ok(), /*show_overview=*/true);
  if (status.ok()) status = finished;
  if (!status.ok()) return ExitCodeOf(status);
  return (*session)->failed_requests() > 0 ? kExitRequestsFailed : kExitOk;
}

}  // namespace regatta
