// Two open sessions and whose turn it is; see live_comparison.h.
#include "orchestrator/compare/live_comparison.h"

#include <filesystem>
#include <memory>
#include <sstream>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/types/span.h"
#include "common/status_macros.h"
#include "orchestrator/benchmark/benchmark_input.h"
#include "orchestrator/benchmark/benchmark_session.h"
#include "orchestrator/benchmark/run_directory.h"
#include "orchestrator/benchmark/run_order.h"
#include "orchestrator/benchmark/server_address.h"
#include "orchestrator/benchmark/serving.h"

namespace regatta {
namespace {

using Loads = std::vector<PlannedLoad>;

bool SpeaksHttp(const std::string& url) { return absl::StartsWith(url, "http"); }

Loads LoadsOf(const LivePlan& plan) {
  Loads loads;
  const BenchmarkOptions& options = plan.a.options;
  for (const PlannedRun& run :
       DrawRunOrder(plan.points.size(), options.repeats, options.random_seed)) {
    loads.push_back({plan.points[run.point], run.repeat});
  }
  return loads;
}

absl::StatusOr<std::unique_ptr<BenchmarkSession>> Open(const LivePlan& plan, const LiveSide& side,
                                                       const Loads& loads,
                                                       const std::filesystem::path& directory,
                                                       const std::string& name,
                                                       const std::atomic<bool>& stop) {
  BenchmarkOptions options = side.options;
  options.output = (directory / name).string();
  RunRecord record;
  record.command = "compare";
  record.command_line = plan.command_line;
  record.configuration = side.configuration;
  record.flags = side.flags;
  record.plan = loads;
  record.foreseen = plan.points;
  record.comparison = directory.filename().string();
  return BenchmarkSession::Open(std::move(options), std::move(record), stop);
}

// Odd repeats A first, even ones B first.
absl::Status MeasureBoth(const Loads& loads, size_t step, const std::atomic<bool>& stop,
                         BenchmarkSession& a, BenchmarkSession& b) {
  const absl::Span<const PlannedLoad> after = absl::MakeConstSpan(loads).subspan(step + 1);
  const bool a_first = loads[step].repeat % 2 == 1;
  RETURN_IF_ERROR((a_first ? a : b).Measure(loads[step], after));
  if (stop.load()) return absl::OkStatus();
  return (a_first ? b : a).Measure(loads[step], after);
}

}  // namespace

absl::Status CheckCachesApart(const BenchmarkOptions& a, const BenchmarkOptions& b) {
  const bool same_server = !a.url.empty() && ServerAddress(a.url) == ServerAddress(b.url);
  const bool caches = SpeaksHttp(a.url) || (a.prefix_cache && b.prefix_cache);
  if (!same_server || !caches || a.load.cache_salt != b.load.cache_salt) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      "--a and --b are one server, ", a.url,
      ", whose prefix cache would know the prompts of the second: give each a --cache-salt of its "
      "own",
      SpeaksHttp(a.url) ? "" : ", or leave --prefix-cache out"));
}

absl::StatusOr<LiveRuns> MeasureInTurn(const LivePlan& plan, const std::atomic<bool>& stop) {
  RETURN_IF_ERROR(CheckCachesApart(plan.a.options, plan.b.options));
  for (BenchmarkOptions options : {plan.a.options, plan.b.options}) {  // before one is launched
    RETURN_IF_ERROR(TakeModel(options, stop));
    if (!options.url.empty() || options.cluster.model.empty()) continue;
    std::ostringstream notes;  // its session prints them
    RETURN_IF_ERROR(LayoutToLaunch(options.cluster, notes).status());
  }
  const Loads loads = LoadsOf(plan);
  ASSIGN_OR_RETURN(const RunDirectory directory,
                   RunDirectory::Create(plan.output, "comparison", "a-b"));
  ASSIGN_OR_RETURN(const auto a, Open(plan, plan.a, loads, directory.path(), "a", stop));
  ASSIGN_OR_RETURN(const auto b, Open(plan, plan.b, loads, directory.path(), "b", stop));
  LiveRuns runs;
  for (size_t step = 0; step < loads.size() && !stop.load() && runs.status.ok(); ++step) {
    runs.status = MeasureBoth(loads, step, stop, *a, *b);
  }
  const bool complete = runs.status.ok() && !stop.load();
  for (const auto* session : {&a, &b}) {
    runs.status.Update((*session)->Finish(complete, /*show_overview=*/true));
    runs.failed_requests += (*session)->failed_requests();
  }
  runs.directory = directory.path();
  runs.a = {a->directory().path(), a->sweep()};
  runs.b = {b->directory().path(), b->sweep()};
  return runs;
}

}  // namespace regatta
