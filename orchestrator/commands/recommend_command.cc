// `regatta recommend`: the load that serves a goal best, confirmed, with the limits that fit it.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <iostream>
#include <memory>
#include <optional>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/flags.h"
#include "common/status_macros.h"
#include "orchestrator/benchmark/run_directory.h"
#include "orchestrator/commands/commands.h"
#include "orchestrator/commands/given_flags.h"
#include "orchestrator/commands/recommend_flags.h"
#include "orchestrator/commands/resumed_flags.h"
#include "orchestrator/commands/run_record.h"
#include "orchestrator/commands/search_flags.h"
#include "orchestrator/search/apply_limits.h"
#include "orchestrator/search/load_search.h"
#include "orchestrator/search/recommend.h"

namespace regatta {
namespace {

constexpr uint32_t kUsualRepeats = 5;

bool IsGiven(const RecommendFlags& flags, const std::string& name) {
  return std::any_of(flags.given.begin(), flags.given.end(),
                     [&](const std::string& flag) { return NameOfFlag(flag) == name; });
}

absl::Status CheckGoal(const RecommendFlags& flags) {
  const BenchmarkOptions& options = flags.benchmark;
  if (options.load.fixed_schedule) {
    return absl::InvalidArgumentError("--fixed-schedule is one load: there is none to choose");
  }
  if (!options.streaming) {
    return absl::InvalidArgumentError(
        "--no-streaming: without it users have neither a speed nor a first token");
  }
  if (!options.user_speeds.empty()) {
    return absl::InvalidArgumentError("--user-speed: a goal has one, --min-user-speed");
  }
  if (options.repeats < 2) {
    return absl::InvalidArgumentError(
        "--repeats is 1, must be at least 2: one run has no interval");
  }
  if (flags.apply && absl::StartsWith(options.url, "http")) {
    return absl::InvalidArgumentError(
        absl::StrCat("--apply: limits are changed over grpc://HOST:PORT of a router, --url is '",
                     options.url, "'; without --apply the limits are written to tuned.yaml"));
  }
  return absl::OkStatus();
}

int RunRecommend(RecommendFlags flags, RunRecord record) {
  if (!flags.resume.empty()) {
    const absl::StatusOr<SweepReport> begun = LoadResults(flags.resume);
    if (!begun.ok()) return ExitCodeOf(begun.status());
    const absl::Status taken = TakeOver(*begun, record.command, AddRecommendFlags, flags);
    if (!taken.ok()) return ExitCodeOf(taken);
    if (begun->completed()) return FinishComplete(*begun, flags.resume);
    if (flags.apply) {
      record.once_served = [answer = begun->recommendation()](BenchmarkSession& session) {
        return TakeBackLimits(answer, session);
      };
    }
  }
  const absl::StatusOr<RecommendPlan> plan = RecommendPlanOf(flags);
  if (!plan.ok()) return ExitCodeOf(plan.status());
  absl::StatusOr<std::vector<LoadPoint>> foreseen = ForeseenLoadsOf(*plan, flags);
  if (!foreseen.ok()) return ExitCodeOf(foreseen.status());
  record.foreseen = *std::move(foreseen);
  record.flags = flags.given;
  record.resume = flags.resume;
  record.brief = true;  // The answer is what people came for; results.json has every figure.
  return RunRecommendation(flags.benchmark, *plan, std::move(record));
}

constexpr char kRecommendExamples[] =
    "How many users can I serve, at which speed, and with which limits? Searches, confirms the "
    "answer with fresh\nprompts, shows 1.25 and 2 times its load, and writes tuned.yaml.\n"
    "Examples:\n"
    "  regatta recommend --model MODEL --tp 2 --min-user-speed 50\n"
    "  regatta recommend --model MODEL --goal throughput --min-user-speed 20\n"
    "  regatta recommend --url grpc://router:9000 --model MODEL --goal ttft --max-ttft 500ms "
    "--apply\n"
    "  regatta recommend --url http://server:8000 --dataset chat.jsonl --goal user-speed\n"
    "  regatta serve MODEL --config results/20261122T183140Z-MODEL-tp2/tuned.yaml\n";

}  // namespace

void AddRecommendFlags(CLI::App& command, RecommendFlags& flags) {
  command
      .add_option("--goal", flags.goal,
                  "user-speed: most users that get --min-user-speed each (default 50) and 95 % of "
                  "their first tokens within --max-ttft (default 2000); throughput: most output "
                  "tokens per second and GPU, within these bounds where they are given; ttft: most "
                  "users with 95 % of first tokens within --max-ttft (default 500)")
      ->check(CLI::IsMember({"user-speed", "throughput", "ttft"}))
      ->capture_default_str()
      ->group("Goal");
  command
      .add_option("--min-user-speed", flags.min_user_speed,
                  "tok/s that users get on average, and the slowest twentieth too")
      ->check(FiniteRange(0.001, 1e6))
      ->group("Goal");
  command
      .add_flag("--apply", flags.apply,
                "give the running server the tuned limits, measure again, and put the old ones "
                "back if it got worse")
      ->group("Goal");
  AddSearchFlags(command, flags.search, nullptr);
  command.add_option(
      "--resume", flags.resume,
      "directory of a run that was cut short: measures what is missing, with the flags "
      "it was begun with");
  AddBenchmarkFlags(command, flags.benchmark);
  // Other tools' protocols fix the loads that are chosen here.
  command.remove_option(command.get_option("--compat"));
  command.get_option("--max-ttft")->group("Goal");
  command.get_option("--repeats")
      ->description("runs that confirm the recommended load, and as many under the tuned limits")
      ->default_str(absl::StrCat(kUsualRepeats));
}

// Only what the goal needs is searched for.
absl::StatusOr<RecommendPlan> RecommendPlanOf(RecommendFlags& flags) {
  if (!IsGiven(flags, "--repeats")) flags.benchmark.repeats = kUsualRepeats;
  RETURN_IF_ERROR(CheckGoal(flags));
  std::optional<double> max_ttft_ms;
  if (IsGiven(flags, "--max-ttft")) max_ttft_ms = flags.benchmark.max_ttft_ms;
  RecommendPlan plan;
  ASSIGN_OR_RETURN(plan.goal, MakeGoal(flags.goal, flags.min_user_speed, max_ttft_ms));
  plan.limits = flags.search;
  plan.limits.whole_frontier = false;
  plan.limits.find_knee = plan.goal.kind == Goal::Kind::kThroughput;
  plan.apply = flags.apply;
  if (plan.goal.min_user_speed > 0) flags.benchmark.user_speeds = {plan.goal.min_user_speed};
  if (plan.goal.max_ttft_ms > 0) flags.benchmark.max_ttft_ms = plan.goal.max_ttft_ms;
  return plan;
}

absl::StatusOr<std::vector<LoadPoint>> ForeseenLoadsOf(const RecommendPlan& plan,
                                                       const RecommendFlags& flags) {
  return ForeseenLoads(plan.limits, kLargestOverload, flags.benchmark.num_requests);
}

void AddRecommendCommand(CLI::App& app, CommandContext& context) {
  CLI::App& command = *app.add_subcommand(
      "recommend",
      "Finds the load that serves a goal best, confirms it, and writes (or applies) the limits "
      "that fit it.");
  auto flags = std::make_shared<RecommendFlags>();
  AddRecommendFlags(command, *flags);
  command.footer(std::string(kRecommendExamples) + kExitCodesHelp);
  command.callback([flags, &command, &context] {
    flags->given = GivenFlags(command);
    context.chosen = [flags, &context, &command] {
      return RunRecommend(*flags, RunRecordOf(command, context));
    };
  });
}

}  // namespace regatta
