// The flags of a run that goes on (`--resume DIR`): those that it was begun with.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/status_macros.h"
#include "orchestrator/commands/given_flags.h"
#include "proto/results.pb.h"

namespace regatta {

// The flags that `begun` had, when `command` began it, with those of `given` in their place that
// change no figure; none that say where it is. FAILED_PRECONDITION where the run has no journal,
// where another command began it, and for a flag that it was not begun with; `directory` is the
// run's, for the message.
absl::StatusOr<std::vector<std::string>> FlagsToGoOn(const SweepReport& begun,
                                                     const std::string& command,
                                                     const std::vector<std::string>& given,
                                                     const std::string& directory);

// Turns the flags of `--resume DIR` into those that the run was begun with; `add_flags` binds them
// to a command. The kept list of given flags is the old one, so that the journal stays what it was.
template <typename Flags>
absl::Status TakeOver(const SweepReport& begun, const std::string& command,
                      void (*add_flags)(CLI::App&, Flags&), Flags& flags) {
  ASSIGN_OR_RETURN(const std::vector<std::string> words,
                   FlagsToGoOn(begun, command, flags.given, flags.resume));
  Flags old;
  CLI::App parser;
  add_flags(parser, old);
  RETURN_IF_ERROR(ParseGivenFlags(words, parser));
  const auto& had = begun.journal().identity().flags();
  old.given.assign(had.begin(), had.end());
  old.resume = flags.resume;
  flags = std::move(old);
  return absl::OkStatus();
}

// Says that nothing is missing; the exit code is that of when the run became complete.
int FinishComplete(const SweepReport& complete, const std::string& directory);

}  // namespace regatta
