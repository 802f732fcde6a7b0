// See run_figures.h.
#include "orchestrator/service/run_figures.h"

#include <algorithm>

#include "orchestrator/benchmark/journal.h"
#include "orchestrator/report/frontier.h"

namespace regatta {
namespace {

// Runs that were measured to their end; one that was cut short may follow them.
int WholeRuns(const SweepReport& sweep) {
  return std::min(static_cast<int>(sweep.journal().whole_points()), MeasuredRuns(sweep).size());
}

}  // namespace

void Summarise(const SweepReport& sweep, RunSummary& run) {
  const int whole = WholeRuns(sweep);
  run.set_points_planned(sweep.journal().identity().planned_size());
  run.set_points_done(whole);
  uint32_t completed = 0, failed = 0;
  double output = 0, user = 0;
  for (int i = 0; i < MeasuredRuns(sweep).size(); ++i) {
    const PointReport& point = MeasuredRuns(sweep)[i];
    completed += point.request_info().num_requests();
    failed += point.regatta().failed_requests();
    if (i >= whole) continue;
    output = std::max(output, point.performance().system_output_throughput_tok_s());
    user = std::max(user, UserSpeed(point));
  }
  run.set_completed_requests(completed);
  run.set_failed_requests(failed);
  run.set_best_output_tok_s(output);
  run.set_best_user_tok_s(user);
}

}  // namespace regatta
