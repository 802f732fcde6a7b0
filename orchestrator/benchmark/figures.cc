// Flags to fields; see figures.h.
#include "orchestrator/benchmark/figures.h"

#include <algorithm>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/check.h"
#include "common/status_macros.h"
#include "orchestrator/statistics/goodput.h"
#include "orchestrator/statistics/repeats.h"
#include "orchestrator/statistics/users_at_speed.h"

namespace regatta {

absl::Status CheckFigures(const BenchmarkOptions& options) {
  ASSIGN_OR_RETURN(const std::vector<Objective> objectives, ParseObjectives(options.goodput));
  if (options.streaming) return absl::OkStatus();
  if (!options.user_speeds.empty()) {
    return absl::InvalidArgumentError(
        "--user-speed needs --streaming: without it no token has a time");
  }
  for (const Objective& objective : objectives) {
    if (objective.metric() == "e2el") continue;
    return absl::InvalidArgumentError(absl::StrCat("--goodput ", objective.metric(),
                                                   " needs --streaming: without it no token has a "
                                                   "time"));
  }
  return absl::OkStatus();
}

void AskFigures(const BenchmarkOptions& options, const ClusterDescription& cluster,
                RegattaInfo& info) {
  const absl::StatusOr<std::vector<Objective>> objectives = ParseObjectives(options.goodput);
  CHECK(objectives.ok()) << objectives.status().message();
  for (const Objective& objective : *objectives) {
    *info.mutable_goodput()->add_objectives() = objective;
  }
  if (options.gpu_hour_price > 0) info.mutable_cost()->set_gpu_hour_price(options.gpu_hour_price);
  const auto is_idle = [](const PoolWorker& worker) {
    return worker.group() < 0 && worker.description().device_kind() == "cuda";
  };
  info.set_idle_gpus(std::count_if(cluster.workers().begin(), cluster.workers().end(), is_idle));
}

void KeepRun(const BenchmarkOptions& options, const PointReport& run, bool interrupted,
             SweepReport& sweep) {
  if (interrupted && sweep.runs_size() > 0) return;
  // Loads that are chosen as a run goes come in any order, points have one.
  const bool as_planned = run.regatta().search_role().empty() && !sweep.has_partition();
  if (options.repeats == 1 && as_planned) {
    *sweep.add_points() = run;
  } else {
    *sweep.add_runs() = run;
    SummarizeRuns(sweep);
  }
  sweep.clear_users_at_speed();
  for (const double speed : options.user_speeds) {
    *sweep.add_users_at_speed() = FindUsersAtSpeed(sweep, speed, options.max_ttft_ms);
  }
}

PointReport StandalonePoint(const SweepReport& sweep) {
  PointReport point = sweep.points(0);
  RunDescription& run = *point.mutable_regatta()->mutable_run();
  run.set_command(sweep.command());
  run.set_working_directory(sweep.working_directory());
  run.set_created_utc(sweep.created_utc());
  run.set_version(sweep.version());
  run.set_commit(sweep.commit());
  run.set_configuration(sweep.configuration());
  *run.mutable_environment() = sweep.environment();
  return point;
}

}  // namespace regatta
