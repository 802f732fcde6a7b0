// `regatta sweep`: load points over concurrency or request rate, with table and frontier.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <filesystem>
#include <iostream>
#include <memory>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/status_macros.h"
#include "orchestrator/benchmark/benchmark.h"
#include "orchestrator/benchmark/journal.h"
#include "orchestrator/benchmark/request_rates.h"
#include "orchestrator/benchmark/run_directory.h"
#include "orchestrator/commands/commands.h"
#include "orchestrator/commands/given_flags.h"
#include "orchestrator/commands/sweep_flags.h"

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

bool SaysWhere(const std::string& flag) {
  const std::string name = NameOfFlag(flag);
  return name == "--resume" || name == "--run-dir";
}

// Flags that may differ when a sweep goes on: they change no figure.
bool MayChange(const std::string& flag) {
  const std::string name = NameOfFlag(flag);
  return absl::StartsWith(name, "--tls-") || name == "--insecure" || name == "--launch-timeout";
}

// The flags that `begun` had, with those of `given` that may change in their place; none that say
// where it is.
absl::StatusOr<std::vector<std::string>> FlagsToGoOn(const SweepReport& begun,
                                                     const std::vector<std::string>& given) {
  const auto& had = begun.journal().identity().flags();
  std::vector<std::string> flags;
  for (const std::string& flag : given) {
    if (MayChange(flag)) flags.push_back(flag);
    if (MayChange(flag) || SaysWhere(flag) || std::find(had.begin(), had.end(), flag) != had.end())
      continue;
    return absl::FailedPreconditionError(absl::StrCat(
        flag, ": the sweep was begun with ", had.empty() ? "no flags" : absl::StrJoin(had, " ")));
  }
  for (const std::string& flag : had) {
    const auto replaces = [&](const std::string& other) {
      return NameOfFlag(other) == NameOfFlag(flag);
    };
    if (SaysWhere(flag) || std::any_of(flags.begin(), flags.end(), replaces)) continue;
    flags.push_back(flag);
  }
  return flags;
}

// Turns the flags of `sweep --resume DIR` into those that the sweep was begun with. The kept list
// of given flags is the old one, so that the journal stays what it was.
absl::Status TakeOver(SweepFlags& flags, const SweepReport& begun) {
  if (!begun.has_journal()) {
    return absl::FailedPreconditionError(
        absl::StrCat("--resume ", flags.resume, ": its results have no journal to go on from"));
  }
  ASSIGN_OR_RETURN(const std::vector<std::string> words, FlagsToGoOn(begun, flags.given));
  SweepFlags old;
  CLI::App parser;
  AddSweepFlags(parser, old);
  RETURN_IF_ERROR(ParseGivenFlags(words, parser));
  const auto& had = begun.journal().identity().flags();
  old.given.assign(had.begin(), had.end());
  old.resume = flags.resume;
  flags = std::move(old);
  return absl::OkStatus();
}

// The exit code of a sweep that is complete, as it was when it became so.
int ExitCodeOfComplete(const SweepReport& sweep) {
  const auto& runs = MeasuredRuns(sweep);
  const bool failed = std::any_of(runs.begin(), runs.end(), [](const PointReport& run) {
    return run.regatta().failed_requests() > 0;
  });
  return failed ? kExitRequestsFailed : kExitOk;
}

int RunSweep(SweepFlags flags, const std::string& command_line, const std::string& configuration) {
  // A --run-dir that holds a run is gone on with.
  if (std::filesystem::exists(flags.run_dir + "/results.json")) flags.resume = flags.run_dir;
  if (!flags.resume.empty()) {
    const absl::StatusOr<SweepReport> begun = LoadResults(flags.resume);
    if (!begun.ok()) return ExitCodeOf(begun.status());
    const absl::Status taken = TakeOver(flags, *begun);
    if (!taken.ok()) return ExitCodeOf(taken);
    if (begun->completed()) {
      std::cout << flags.resume << " is complete: nothing is missing\n";
      return ExitCodeOfComplete(*begun);
    }
  }
  absl::StatusOr<std::vector<LoadPoint>> points = PointsOf(flags);
  if (!points.ok()) return ExitCodeOf(points.status());
  BenchmarkPlan plan;
  plan.points = *std::move(points);
  plan.show_overview = true;
  plan.command_line = command_line;
  plan.flags = flags.given;
  plan.directory = flags.run_dir;
  plan.resume = flags.resume;
  plan.configuration = configuration;
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
  CLI::Option* const resume =
      command
          .add_option("--resume", flags.resume,
                      "directory of a sweep that was cut short: measures what is missing, with the "
                      "flags it was begun with")
          ->check(CLI::ExistingDirectory);
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
  if (flags.benchmark.load.fixed_schedule) {
    return absl::InvalidArgumentError(
        "--fixed-schedule is one load: `regatta throughput` replays it");
  }
  if (!flags.request_rate.empty()) return PointsOverRate(flags);
  const std::string text = flags.concurrency.empty() ? kUsualConcurrency : flags.concurrency;
  ASSIGN_OR_RETURN(const std::vector<uint32_t> concurrencies, ParseConcurrency(text));
  return PlanPoints(concurrencies, flags.benchmark.num_requests);
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
                  "  regatta sweep --resume results/20261122T183140Z-MODEL-tp2\n") +
      kExitCodesHelp);
  command.callback([flags, &command, &context] {
    flags->given = GivenFlags(command);
    context.chosen = [flags, &context, &command] {
      return RunSweep(*flags, context.command_line, command.config_to_str(/*default_also=*/true));
    };
  });
}

}  // namespace regatta
