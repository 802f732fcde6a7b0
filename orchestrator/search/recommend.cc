// Search, confirm, overload, tune, apply; see recommend.h. Each step takes the runs that it needs
// from the results and measures those that are missing, so that a run that was killed goes on.
#include "orchestrator/search/recommend.h"

#include <iostream>
#include <optional>
#include <utility>
#include <vector>

#include "common/atomic_file.h"
#include "common/check.h"
#include "common/status_macros.h"
#include "orchestrator/benchmark/run_directory.h"
#include "orchestrator/commands/commands.h"
#include "orchestrator/search/answer_drift.h"
#include "orchestrator/search/apply_limits.h"
#include "orchestrator/search/confirmation.h"
#include "orchestrator/search/load_search.h"
#include "orchestrator/search/tuned_limits.h"
#include "orchestrator/terminal/interrupt.h"

namespace regatta {
namespace {

// What follows a run that the answer lacks, unless fresh prompts refute its load.
void ExpectRest(const RecommendPlan& plan, const MissingRun& missing, BenchmarkSession& session) {
  const uint32_t repeats = session.options().repeats;
  const bool confirms = missing.role == kConfirmRole;
  const uint32_t users =
      confirms ? missing.concurrency : session.sweep().recommendation().concurrency();
  const std::vector<uint32_t> runs = RunsOfAnswer(users, repeats, plan.apply);
  const size_t done =
      confirms ? missing.repeat : repeats + session.sweep().recommendation().overload_size() + 1;
  ExpectLoads(absl::MakeSpan(runs).subspan(done), session);
}

// Measures what the answer lacks, and leaves it in the results.
absl::Status Answer(const RecommendPlan& plan, BenchmarkSession& session,
                    const std::atomic<bool>& stop) {
  for (;;) {
    Recommendation answer;
    const std::optional<MissingRun> missing =
        FillAnswer(plan.goal, session.options().repeats, session.sweep(), answer);
    *session.mutable_sweep().mutable_recommendation() = std::move(answer);
    if (!missing) return absl::OkStatus();
    std::cerr << "Next: " << missing->concurrency << " users (" << missing->role << " "
              << missing->repeat << ")\n";
    ExpectRest(plan, *missing, session);
    RETURN_IF_ERROR(
        MeasureOnce(missing->concurrency, missing->repeat, missing->role, session, stop));
  }
}

// The limits that fit the recommended load, into the results and tuned.yaml.
absl::Status Tune(BenchmarkSession& session) {
  const ClusterDescription& cluster = session.serving().description;
  Recommendation& answer = *session.mutable_sweep().mutable_recommendation();
  const PointReport& point = *RunsOf(session.sweep(), kSearchRole, answer.concurrency())[0];
  *answer.mutable_measured_limits() = LimitsOf(cluster);
  *answer.mutable_tuned_limits() = TuneLimits(point, cluster);
  return WriteFileAtomically(session.directory().path() + "/tuned.yaml",
                             TunedYaml(session.sweep(), cluster));
}

absl::Status Recommend(const RecommendPlan& plan, BenchmarkSession& session,
                       const std::atomic<bool>& stop) {
  const auto answer = [&](const SearchForecast& forecast) -> std::vector<uint32_t> {
    if (forecast.best == 0) return {};
    return RunsOfAnswer(forecast.best, session.options().repeats, plan.apply);
  };
  RETURN_IF_ERROR(SearchLoads({{plan.goal}, plan.limits, answer}, session, stop));
  RETURN_IF_ERROR(Answer(plan, session, stop));
  const uint32_t users = session.sweep().recommendation().concurrency();
  if (users == 0) return absl::OkStatus();
  RETURN_IF_ERROR(Tune(session));
  if (!plan.apply) return absl::OkStatus();
  return ApplyLimits(plan.goal, RunsOf(session.sweep(), kConfirmRole, users), session, stop);
}

}  // namespace

int RunRecommendation(const BenchmarkOptions& options, const RecommendPlan& plan,
                      RunRecord record) {
  CHECK(options.repeats >= 2);
  const std::atomic<bool>& stop = InterruptFlag();
  const auto session = BenchmarkSession::Open(options, std::move(record), stop);
  if (!session.ok()) return ExitCodeOf(session.status());
  absl::Status status = Recommend(plan, **session, stop);
  SweepReport& sweep = (*session)->mutable_sweep();
  if (sweep.has_recommendation()) {
    sweep.mutable_recommendation()->set_drift(AnswerDrift(sweep));
  }
  const absl::Status finished = (*session)->Finish(status.ok(), /*show_overview=*/true);
  if (status.ok()) status = finished;
  if (!status.ok()) return ExitCodeOf(status);
  return (*session)->failed_requests() > 0 ? kExitRequestsFailed : kExitOk;
}

}  // namespace regatta
