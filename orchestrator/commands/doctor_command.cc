// `regatta doctor`: is this host fit to be measured?
#include <CLI/CLI.hpp>
#include <algorithm>
#include <iostream>
#include <memory>

#include "orchestrator/commands/commands.h"
#include "orchestrator/doctor/doctor.h"
#include "orchestrator/doctor/finding.h"

namespace regatta {
namespace {

int RunDoctor(bool json) {
  const std::vector<HostFinding> findings = Diagnose(ReadDoctorFacts(0));
  std::cout << (json ? DoctorJson(findings) : DoctorText(findings));
  const bool problem =
      std::any_of(findings.begin(), findings.end(),
                  [](const HostFinding& finding) { return finding.level() == kProblem; });
  return problem ? kExitFailed : kExitOk;
}

}  // namespace

void AddDoctorCommand(CLI::App& app, CommandContext& context) {
  CLI::App& command = *app.add_subcommand(
      "doctor",
      "Looks for what would slow ranks down or stop them here: driver, GPUs, links, limits. Prints "
      "the command that mends each finding and runs none. Needs no GPU.");
  auto json = std::make_shared<bool>(false);
  command.add_flag("--json", *json, "findings as JSON on stdout");
  command.footer(
      "Examples:\n"
      "  regatta doctor\n"
      "  regatta doctor --json | jq '.findings[] | select(.level != \"ok\")'\n"
      "A sweep that launches ranks on this host's GPUs looks too, and writes what it finds into "
      "its results.\n"
      "GPUs that CUDA_VISIBLE_DEVICES hides get notes, not warnings.\n"
      "Exit codes: 0 no problem (perhaps warnings), 1 a problem.");
  command.callback([json, &context] { context.chosen = [json] { return RunDoctor(*json); }; });
}

}  // namespace regatta
