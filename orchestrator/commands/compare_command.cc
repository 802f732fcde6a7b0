// `regatta compare`: one run held against another, stored ones or two that are measured in turn.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <filesystem>
#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/atomic_file.h"
#include "common/flags.h"
#include "common/status_macros.h"
#include "orchestrator/benchmark/run_directory.h"
#include "orchestrator/commands/commands.h"
#include "orchestrator/commands/compare_sides.h"
#include "orchestrator/commands/given_flags.h"
#include "orchestrator/compare/comparison.h"
#include "orchestrator/compare/comparison_text.h"
#include "orchestrator/compare/forest_plot.h"
#include "orchestrator/compare/gate.h"
#include "orchestrator/report/report.h"
#include "orchestrator/service/orchestrator_client.h"
#include "orchestrator/terminal/interrupt.h"

namespace regatta {
namespace {

struct CompareFlags {
  std::vector<std::string> runs;
  std::string service;
  std::string a, b;
  SweepFlags sweep;
  std::vector<std::string> shared;  // the sweep's flags that were given
  std::vector<std::string> fail_if;
  double margin_percent = 1;
  bool strict = false;
  bool all_metrics = false;
  std::string json, markdown, svg;
};

absl::Status Publish(const CompareFlags& flags, const Comparison& comparison) {
  std::cout << ComparisonText(comparison, flags.all_metrics) << std::flush;
  if (!flags.json.empty()) RETURN_IF_ERROR(WriteFileAtomically(flags.json, ToJson(comparison)));
  if (!flags.svg.empty()) RETURN_IF_ERROR(WriteFileAtomically(flags.svg, ForestPlot(comparison)));
  if (flags.markdown.empty()) return absl::OkStatus();
  return WriteFileAtomically(flags.markdown, ComparisonMarkdown(comparison, flags.all_metrics));
}

// Gates first; then requests of B that failed, of which no figure tells.
int CodeOf(const Comparison& comparison, bool strict) {
  const auto any_gate = [&](GateOutcome outcome) {
    return std::any_of(comparison.gates().begin(), comparison.gates().end(),
                       [&](const GateFinding& gate) { return gate.outcome() == outcome; });
  };
  if (any_gate(GATE_HOLDS) || (strict && any_gate(GATE_OPEN))) return kExitGateFailed;
  if (any_gate(GATE_NOT_JUDGED)) return kExitGateNotJudged;
  return comparison.failed_runs_b() > 0 ? kExitRequestsFailed : kExitOk;
}

// Flags of a sweep but those that say how to reach a service.
absl::Status CheckNothingToMeasure(const CompareFlags& flags) {
  for (const std::string& flag : flags.shared) {
    const std::string name = NameOfFlag(flag);
    const bool reaches = absl::StartsWith(name, "--tls-") || name == "--insecure";
    if (reaches && !flags.service.empty()) continue;
    return absl::InvalidArgumentError(
        absl::StrCat(name, " has no effect on runs that were measured already"));
  }
  return absl::OkStatus();
}

// Runs of a service, by their ids; it compares them.
absl::StatusOr<Comparison> CompareSubmitted(const CompareFlags& flags) {
  RETURN_IF_ERROR(CheckNothingToMeasure(flags));
  ASSIGN_OR_RETURN(OrchestratorClient client,
                   OrchestratorClient::Dial({flags.service, flags.sweep.benchmark.tls}));
  CompareRunsRequest request;
  request.set_first(flags.runs[0]);
  request.set_second(flags.runs[1]);
  request.set_margin(flags.margin_percent / 100);
  request.mutable_fail_if()->Add(flags.fail_if.begin(), flags.fail_if.end());
  return client.Compare(request);
}

absl::StatusOr<Comparison> CompareStored(const CompareFlags& flags,
                                         const ComparisonOptions& options) {
  RETURN_IF_ERROR(CheckNothingToMeasure(flags));
  ComparedRun a{flags.runs[0], {}}, b{flags.runs[1], {}};
  ASSIGN_OR_RETURN(a.sweep, LoadResults(a.path));
  ASSIGN_OR_RETURN(b.sweep, LoadResults(b.path));
  return CompareRuns(a, b, options);
}

// The comparison is also kept in its directory.
absl::StatusOr<Comparison> CompareLive(const CompareFlags& flags, const ComparisonOptions& options,
                                       const std::string& command_line) {
  ASSIGN_OR_RETURN(LivePlan plan, PlanLiveComparison(flags.shared, flags.a, flags.b));
  plan.command_line = command_line;
  ASSIGN_OR_RETURN(const LiveRuns runs, MeasureInTurn(plan, InterruptFlag()));
  RETURN_IF_ERROR(runs.status);
  if (InterruptFlag().load() && runs.b.sweep.points().empty()) {
    return absl::CancelledError("interrupted before both were measured");
  }
  ASSIGN_OR_RETURN(const Comparison comparison, CompareRuns(runs.a, runs.b, options));
  const std::filesystem::path directory(runs.directory);
  RETURN_IF_ERROR(WriteFileAtomically(directory / "comparison.json", ToJson(comparison)));
  RETURN_IF_ERROR(WriteFileAtomically(directory / "comparison.md",
                                      ComparisonMarkdown(comparison, /*all_metrics=*/true)));
  RETURN_IF_ERROR(WriteFileAtomically(directory / "comparison.svg", ForestPlot(comparison)));
  std::cout << "Comparison: " << runs.directory << "\n\n";
  return comparison;
}

absl::StatusOr<Comparison> ComparisonOf(const CompareFlags& flags,
                                        const std::string& command_line) {
  const bool named = flags.runs.size() == 2 && flags.a.empty() && flags.b.empty();
  const bool live = flags.runs.empty() && !flags.a.empty() && !flags.b.empty();
  if (!named && !(live && flags.service.empty())) {
    return absl::InvalidArgumentError(
        "give two runs' directories, or their ids with --service, or --a and --b to measure two "
        "systems in turn");
  }
  ASSIGN_OR_RETURN(const ComparisonOptions options,
                   ComparisonOptionsOf(flags.margin_percent / 100, flags.fail_if));
  if (live) return CompareLive(flags, options, command_line);
  return flags.service.empty() ? CompareStored(flags, options) : CompareSubmitted(flags);
}

int Compare(const CompareFlags& flags, const std::string& command_line) {
  const absl::StatusOr<Comparison> comparison = ComparisonOf(flags, command_line);
  if (!comparison.ok()) return ExitCodeOf(comparison.status());
  const absl::Status published = Publish(flags, *comparison);
  if (!published.ok()) return ExitCodeOf(published);
  return InterruptFlag().load() ? kExitInterrupted : CodeOf(*comparison, flags.strict);
}

constexpr char kFooter[] =
    "Conditions: METRIC<CHANGE% or METRIC>CHANGE%, the change of B against A. One fails when the "
    "whole interval\nmeets it; intervals are widened so that all conditions together hold with "
    "95 %. Metrics:\n  ";
constexpr char kCompareExamples[] =
    "Examples:\n  regatta compare results/before results/after --fail-if 'output_throughput<-3%'\n"
    "  regatta compare --a grpc://one:9000 --b grpc://two:9000 --dataset chat.jsonl "
    "--concurrency 1,16 --fail-if 'p95_ttft>+5%'\n"
    "  regatta compare --model MODEL --a '--tp 1 --dp 2' --b '--tp 2' --concurrency 8\n";
constexpr char kCompareExitCodes[] =
    "\nExit codes: 0 done, 1 could not run, 2 bad input, 3 requests of B failed, 4 a --fail-if "
    "holds, 5 one could not be\njudged, 130 interrupted.";

void AddOwnFlags(CLI::App& command, CompareFlags& flags) {
  command
      .add_option("runs", flags.runs,
                  "two runs' directories, or their results.json, or with --service their ids: A "
                  "and B")
      ->expected(2);
  command.add_option("--service", flags.service,
                     "grpc://HOST:PORT of `regatta orchestrator` whose runs are compared");
  command.add_option("--a", flags.a,
                     "measure A and B in turn instead: A's address, or flags of a sweep that only "
                     "A has");
  command.add_option("--b", flags.b, "likewise of B");
  command.add_option("--fail-if", flags.fail_if,
                     "condition under which the exit code is 4 (may be repeated): p95_ttft>+5%");
  command.add_flag("--strict", flags.strict,
                   "also fail where a condition is not excluded by the interval");
  command
      .add_option("--margin", flags.margin_percent,
                  "percent up to which a change does not matter: \"same\"")
      ->check(FiniteRange(0.0, 100.0))
      ->capture_default_str();
  command.add_flag("--all-metrics", flags.all_metrics, "show every figure");
  command.add_option("--json", flags.json, "also write the comparison there as JSON");
  command.add_option("--markdown", flags.markdown, "also write it there as Markdown");
  command.add_option("--svg", flags.svg, "also write it there as a forest plot");
}

}  // namespace

void AddCompareCommand(CLI::App& app, CommandContext& context) {
  CLI::App& command = *app.add_subcommand(
      "compare", "Holds one run against another: changes with intervals, and a gate.");
  auto flags = std::make_shared<CompareFlags>();
  AddSharedSweepFlags(command, flags->sweep);
  AddOwnFlags(command, *flags);
  command.footer(absl::StrCat(kCompareExamples, kFooter, ComparedMetricNames(), kCompareExitCodes));
  command.callback([flags, &command, &context] {
    flags->shared = GivenSweepFlags(command);
    context.chosen = [flags, &context] { return Compare(*flags, context.command_line); };
  });
}

}  // namespace regatta
