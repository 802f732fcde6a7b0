// `regatta sweep`: load points over concurrency or request rate, with table and frontier.
#include <CLI/CLI.hpp>
#include <filesystem>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "orchestrator/benchmark/benchmark.h"
#include "orchestrator/benchmark/protocol.h"
#include "orchestrator/benchmark/request_rates.h"
#include "orchestrator/benchmark/run_directory.h"
#include "orchestrator/commands/commands.h"
#include "orchestrator/commands/given_flags.h"
#include "orchestrator/commands/resumed_flags.h"
#include "orchestrator/commands/run_record.h"
#include "orchestrator/commands/search_flags.h"
#include "orchestrator/commands/sweep_flags.h"
#include "orchestrator/search/adaptive_sweep.h"

namespace regatta {
namespace {

constexpr char kUsualConcurrency[] = "1:64:x2";

// Points over the rate; a concurrency, when given, is the cap of all.
absl::StatusOr<std::vector<LoadPoint>> PointsOverRate(const SweepFlags& flags) {
  ASSIGN_OR_RETURN(const std::vector<double> rates, ParseRequestRates(flags.request_rate));
  if (flags.concurrency.empty()) return PlanRates(rates, 0, flags.benchmark.num_requests);
  ASSIGN_OR_RETURN(const std::vector<uint32_t> caps, ParseConcurrency(flags.concurrency));
  if (caps.size() == 1) return PlanRates(rates, caps[0], flags.benchmark.num_requests);
  return absl::InvalidArgumentError(absl::StrCat("--concurrency '", flags.concurrency, "' has ",
                                                 caps.size(),
                                                 " values, with --request-rate it is one cap"));
}

// The edges that are looked for are those of the asked user speeds.
SearchPlan SearchPlanOf(const SweepFlags& flags) {
  SearchPlan plan;
  plan.limits = flags.search;
  for (const double speed : flags.benchmark.user_speeds) {
    plan.goals.push_back({Goal::Kind::kUserSpeed, speed, flags.benchmark.max_ttft_ms});
  }
  return plan;
}

int RunSweep(SweepFlags flags, RunRecord record) {
  // A --run-dir that holds a run is gone on with.
  if (std::filesystem::exists(flags.run_dir + "/results.json")) flags.resume = flags.run_dir;
  if (!flags.resume.empty()) {
    const absl::StatusOr<SweepReport> begun = LoadResults(flags.resume);
    if (!begun.ok()) return ExitCodeOf(begun.status());
    const absl::Status taken = TakeOver(*begun, record.command, AddSweepFlags, flags);
    if (!taken.ok()) return ExitCodeOf(taken);
    if (begun->completed()) return FinishComplete(*begun, flags.resume);
  }
  absl::StatusOr<std::vector<LoadPoint>> points = PointsOf(flags);
  if (!points.ok()) return ExitCodeOf(points.status());
  record.flags = flags.given;
  record.directory = flags.run_dir;
  record.resume = flags.resume;
  if (flags.adaptive) {
    record.foreseen = *std::move(points);
    return RunAdaptiveSweep(flags.benchmark, SearchPlanOf(flags), std::move(record));
  }
  BenchmarkPlan plan;
  plan.points = *std::move(points);
  plan.show_overview = true;
  plan.record = std::move(record);
  return RunBenchmark(flags.benchmark, plan);
}

}  // namespace

void AddSweepFlags(CLI::App& command, SweepFlags& flags) {
  command
      .add_option("--concurrency", flags.concurrency,
                  "requests kept running at each point: 1,2,4 or 1:1024:x2 or 1:16:+1")
      ->default_str(kUsualConcurrency);
  command.add_option("--request-rate", flags.request_rate,
                     "sweep requests per second instead: 1,2,4 or 1:64:x2 or 1:4:+0.5; "
                     "--concurrency then caps what runs at once");
  CLI::Option* const adaptive = command.add_flag(
      "--adaptive", flags.adaptive,
      "choose the concurrencies by what was measured: double until throughput is saturated and no "
      "asked --user-speed is reached, then refine the edges of these speeds, the knee of the "
      "throughput and the widest gaps of the frontier");
  AddSearchFlags(command, flags.search, adaptive);
  CLI::Option* const resume = command.add_option(
      "--resume", flags.resume,
      "directory of a sweep that was cut short: measures what is missing, with the "
      "flags it was begun with");
  AddBenchmarkFlags(command, flags.benchmark);
  command
      .add_option("--run-dir", flags.run_dir,
                  "directory of this sweep alone, in place of one below --output: begun there, or "
                  "gone on with where it stands; for what starts commands again")
      ->excludes(resume)
      ->excludes("--output")
      ->group("Output");
}

absl::StatusOr<std::vector<LoadPoint>> PointsOf(const SweepFlags& flags) {
  RETURN_IF_ERROR(CheckProtocol(flags.benchmark, flags.given));
  if (flags.benchmark.load.fixed_schedule) {
    return absl::InvalidArgumentError(
        "--fixed-schedule is one load: `regatta throughput` replays it");
  }
  if (flags.adaptive && !(flags.concurrency.empty() && flags.request_rate.empty())) {
    return absl::InvalidArgumentError(
        absl::StrCat("--adaptive chooses the concurrencies itself: leave ",
                     flags.concurrency.empty() ? "--request-rate" : "--concurrency",
                     " out; --max-concurrency bounds them"));
  }
  if (flags.adaptive) return ForeseenLoads(flags.search, 1, flags.benchmark.num_requests);
  if (!flags.request_rate.empty()) return PointsOverRate(flags);
  const std::string text = flags.concurrency.empty() ? kUsualConcurrency : flags.concurrency;
  ASSIGN_OR_RETURN(const std::vector<uint32_t> concurrencies, ParseConcurrency(text));
  ASSIGN_OR_RETURN(std::vector<LoadPoint> points,
                   PlanPoints(concurrencies, flags.benchmark.num_requests));
  RETURN_IF_ERROR(SetProtocolRequests(flags.benchmark, points));
  return points;
}

void AddSweepCommand(CLI::App& app, CommandContext& context) {
  CLI::App& command = *app.add_subcommand("sweep",
                                          "Measures load points over concurrency or request rate "
                                          "and draws the throughput/speed frontier.");
  auto flags = std::make_shared<SweepFlags>();
  AddSweepFlags(command, *flags);
  command.footer(
      std::string("Examples:\n"
                  "  regatta sweep --model MODEL --dataset 128_128.jsonl --tp 2 "
                  "--concurrency 1:256:x2\n"
                  "  regatta sweep --url grpc://router:9000 --model MODEL --concurrency 1,8,64\n"
                  "  regatta sweep --url http://server:8000 --dataset chat.jsonl --request-rate "
                  "1:64:x2\n"
                  "  regatta sweep --model MODEL --adaptive --user-speed 50 --user-speed 20\n"
                  "  regatta sweep --resume results/20261122T183140Z-MODEL-tp2\n") +
      kExitCodesHelp);
  command.callback([flags, &command, &context] {
    flags->given = GivenFlags(command);
    context.chosen = [flags, &context, &command] {
      return RunSweep(*flags, RunRecordOf(command, context));
    };
  });
}

}  // namespace regatta
