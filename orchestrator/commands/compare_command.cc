// `regatta compare A B`: two stored runs held against one another.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/flags.h"
#include "common/status_macros.h"
#include "orchestrator/benchmark/run_directory.h"
#include "orchestrator/commands/commands.h"
#include "orchestrator/compare/comparison.h"
#include "orchestrator/compare/comparison_text.h"
#include "orchestrator/compare/gate.h"
#include "orchestrator/report/report.h"

namespace regatta {
namespace {

struct CompareFlags {
  std::vector<std::string> runs;
  std::vector<std::string> fail_if;
  double margin_percent = 1;
  bool strict = false;
  bool all_metrics = false;
  std::string json, markdown;
};

absl::StatusOr<ComparisonOptions> OptionsOf(const CompareFlags& flags) {
  ComparisonOptions options;
  options.margin = flags.margin_percent / 100;
  for (const std::string& text : flags.fail_if) {
    ASSIGN_OR_RETURN(Gate gate, ParseGate(text));
    options.gates.push_back(std::move(gate));
  }
  return options;
}

absl::StatusOr<Comparison> CompareStored(const CompareFlags& flags) {
  ASSIGN_OR_RETURN(const ComparisonOptions options, OptionsOf(flags));
  ComparedRun a{flags.runs[0], {}}, b{flags.runs[1], {}};
  ASSIGN_OR_RETURN(a.sweep, LoadResults(a.path));
  ASSIGN_OR_RETURN(b.sweep, LoadResults(b.path));
  return CompareRuns(a, b, options);
}

absl::Status Publish(const CompareFlags& flags, const Comparison& comparison) {
  std::cout << ComparisonText(comparison, flags.all_metrics) << std::flush;
  if (!flags.json.empty()) RETURN_IF_ERROR(WriteTextFile(flags.json, ToJson(comparison)));
  if (flags.markdown.empty()) return absl::OkStatus();
  return WriteTextFile(flags.markdown, ComparisonMarkdown(comparison, flags.all_metrics));
}

// Gates first; then requests of B that failed, of which no figure tells.
int ExitCodeOf(const Comparison& comparison, bool strict) {
  const auto any_gate = [&](GateOutcome outcome) {
    return std::any_of(comparison.gates().begin(), comparison.gates().end(),
                       [&](const GateFinding& gate) { return gate.outcome() == outcome; });
  };
  if (any_gate(GATE_HOLDS) || (strict && any_gate(GATE_OPEN))) return kExitGateFailed;
  if (any_gate(GATE_NOT_JUDGED)) return kExitGateNotJudged;
  const bool failures =
      std::any_of(comparison.loads().begin(), comparison.loads().end(),
                  [](const ComparedLoad& load) { return load.failed_runs_b() > 0; });
  return failures ? kExitRequestsFailed : kExitOk;
}

int Compare(const CompareFlags& flags) {
  const absl::StatusOr<Comparison> comparison = CompareStored(flags);
  if (!comparison.ok()) return ExitCodeOf(comparison.status());
  const absl::Status published = Publish(flags, *comparison);
  if (!published.ok()) return ExitCodeOf(published);
  return ExitCodeOf(*comparison, flags.strict);
}

constexpr char kFooter[] =
    "Conditions: METRIC<CHANGE% or METRIC>CHANGE%, the change of B against A. One fails when the "
    "whole interval\nmeets it; intervals are widened so that all conditions together hold with "
    "95 %. Metrics:\n  ";
constexpr char kCompareExitCodes[] =
    "\nExit codes: 0 done, 1 could not run, 2 bad input, 3 requests of B failed, 4 a --fail-if "
    "holds, 5 one could not be\njudged, 130 interrupted.";

}  // namespace

void AddCompareCommand(CLI::App& app, CommandContext& context) {
  CLI::App& command = *app.add_subcommand(
      "compare", "Holds one run against another: changes with intervals, and a gate.");
  auto flags = std::make_shared<CompareFlags>();
  command.add_option("runs", flags->runs, "two runs' directories, or their results.json: A and B")
      ->expected(2)
      ->required();
  command.add_option("--fail-if", flags->fail_if,
                     "condition under which the exit code is 4 (may be repeated): p95_ttft>+5%");
  command.add_flag("--strict", flags->strict,
                   "also fail where a condition is not excluded by the interval");
  command
      .add_option("--margin", flags->margin_percent,
                  "percent up to which a change does not matter: \"same\"")
      ->check(FiniteRange(0.0, 100.0))
      ->capture_default_str();
  command.add_flag("--all-metrics", flags->all_metrics, "show every figure");
  command.add_option("--json", flags->json, "also write the comparison there as JSON");
  command.add_option("--markdown", flags->markdown, "also write it there as Markdown");
  command.footer(
      absl::StrCat("Example:\n  regatta compare results/before results/after --fail-if "
                   "'output_throughput<-3%' --fail-if 'p95_ttft>+5%'\n",
                   kFooter, ComparedMetricNames(), kCompareExitCodes));
  command.callback([flags, &context] { context.chosen = [flags] { return Compare(*flags); }; });
}

}  // namespace regatta
