// Old and new flags; see resumed_flags.h.
#include "orchestrator/commands/resumed_flags.h"

#include <algorithm>
#include <iostream>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "orchestrator/benchmark/journal.h"
#include "orchestrator/commands/commands.h"
#include "orchestrator/statistics/repeats.h"

namespace regatta {
namespace {

bool SaysWhere(const std::string& flag) {
  const std::string name = NameOfFlag(flag);
  return name == "--resume" || name == "--run-dir";
}

// Flags that may differ when a sweep goes on: they change no figure.
bool MayChange(const std::string& flag) {
  const std::string name = NameOfFlag(flag);
  return absl::StartsWith(name, "--tls-") || name == "--insecure" || name == "--launch-timeout";
}

// What a command chose is a plan to no other. A run that does not name its own is any sweep's.
absl::Status CheckCommand(const SweepReport& begun, const std::string& command,
                          const std::string& directory) {
  const std::string& named = begun.journal().identity().command();
  const std::string before = named.empty() ? "sweep" : named;
  if (before == command) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat(
      "--resume ", directory, ": was begun by `regatta ", before, "`",
      GoesOn(before) ? absl::StrCat(": regatta ", before, " --resume ", ShellQuoted(directory))
                     : ", which does not go on: run it again"));
}

}  // namespace

absl::StatusOr<std::vector<std::string>> FlagsToGoOn(const SweepReport& begun,
                                                     const std::string& command,
                                                     const std::vector<std::string>& given,
                                                     const std::string& directory) {
  if (!begun.has_journal()) {
    return absl::FailedPreconditionError(
        absl::StrCat("--resume ", directory, ": its results have no journal to go on from"));
  }
  RETURN_IF_ERROR(CheckCommand(begun, command, directory));
  const auto& had = begun.journal().identity().flags();
  std::vector<std::string> flags;
  for (const std::string& flag : given) {
    if (MayChange(flag)) flags.push_back(flag);
    if (MayChange(flag) || SaysWhere(flag)) continue;
    if (std::find(had.begin(), had.end(), flag) != had.end()) continue;
    return absl::FailedPreconditionError(absl::StrCat(
        flag, ": the sweep was begun with ", had.empty() ? "no flags" : absl::StrJoin(had, " ")));
  }
  const size_t changed = flags.size();
  for (const std::string& flag : had) {  // one that takes several values is there for each
    const auto replaces = [&](const std::string& other) {
      return NameOfFlag(other) == NameOfFlag(flag);
    };
    if (SaysWhere(flag)) continue;
    if (std::any_of(flags.begin(), flags.begin() + changed, replaces)) continue;
    flags.push_back(flag);
  }
  return flags;
}

int FinishComplete(const SweepReport& complete, const std::string& directory) {
  std::cout << directory << " is complete: nothing is missing\n";
  const auto& runs = MeasuredRuns(complete);
  const bool failed = std::any_of(runs.begin(), runs.end(), [](const PointReport& run) {
    return run.regatta().failed_requests() > 0;
  });
  return failed ? kExitRequestsFailed : kExitOk;
}

}  // namespace regatta
