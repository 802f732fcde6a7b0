// Every load of the plan in its drawn order; see benchmark.h.
#include "orchestrator/benchmark/benchmark.h"

#include <atomic>

#include "absl/types/span.h"
#include "orchestrator/benchmark/benchmark_session.h"
#include "orchestrator/benchmark/run_order.h"
#include "orchestrator/commands/commands.h"
#include "orchestrator/terminal/interrupt.h"

namespace regatta {
namespace {

RunRecord RecordOf(const BenchmarkOptions& options, const BenchmarkPlan& plan) {
  RunRecord record = plan.record;
  record.foreseen = plan.points;
  for (const PlannedRun& run :
       DrawRunOrder(plan.points.size(), options.repeats, options.random_seed)) {
    record.plan.push_back({plan.points[run.point], run.repeat, plan.unlimited});
  }
  return record;
}

absl::Status MeasureAll(absl::Span<const PlannedLoad> loads, const std::atomic<bool>& stop,
                        BenchmarkSession& session) {
  absl::Status status;
  for (size_t i = session.whole_loads(); i < loads.size() && !stop.load() && status.ok(); ++i) {
    status = session.Measure(loads[i], loads.subspan(i + 1));
  }
  return status;
}

}  // namespace

int RunBenchmark(const BenchmarkOptions& options, const BenchmarkPlan& plan) {
  const std::atomic<bool>& stop = InterruptFlag();
  const RunRecord record = RecordOf(options, plan);
  const auto session = BenchmarkSession::Open(options, record, stop);
  if (!session.ok()) return ExitCodeOf(session.status());
  absl::Status status = MeasureAll(record.plan, stop, **session);
  const absl::Status finished =
      (*session)->Finish(/*complete=*/status.ok() && !stop.load(), plan.show_overview);
  if (status.ok()) status = finished;
  if (!status.ok()) return ExitCodeOf(status);
  if (stop.load()) return kExitInterrupted;
  return (*session)->failed_requests() > 0 ? kExitRequestsFailed : kExitOk;
}

}  // namespace regatta
