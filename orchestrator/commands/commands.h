// The subcommands of `regatta`. Each adds its flags to the program and, when it is the one typed,
// leaves what to run in `context.chosen`.
#pragma once

#include <functional>
#include <string>

#include "absl/status/status.h"

namespace CLI {
class App;
}

namespace regatta {

struct CommandContext {
  std::string command_line;     // as typed, quoted for a shell
  std::function<int()> chosen;  // returns the exit code
};

void AddPrepareDatasetCommand(CLI::App& app, CommandContext& context);
void AddThroughputCommand(CLI::App& app, CommandContext& context);
void AddServeCommand(CLI::App& app, CommandContext& context);
void AddPullCommand(CLI::App& app, CommandContext& context);
void AddSweepCommand(CLI::App& app, CommandContext& context);
void AddRecommendCommand(CLI::App& app, CommandContext& context);
void AddPartitionCommand(CLI::App& app, CommandContext& context);
void AddReportCommand(CLI::App& app, CommandContext& context);
void AddExportCommand(CLI::App& app, CommandContext& context);
void AddImportCommand(CLI::App& app, CommandContext& context);
void AddCompareCommand(CLI::App& app, CommandContext& context);
void AddPlanCommand(CLI::App& app, CommandContext& context);
void AddDoctorCommand(CLI::App& app, CommandContext& context);
void AddCertsCommand(CLI::App& app, CommandContext& context);
void AddClusterCommand(CLI::App& app, CommandContext& context);
void AddNullServerCommand(CLI::App& app, CommandContext& context);
// The orchestrator as a service, and its clients.
void AddOrchestratorCommand(CLI::App& app, CommandContext& context);
void AddSubmitCommand(CLI::App& app, CommandContext& context);
void AddWatchCommand(CLI::App& app, CommandContext& context);
void AddFetchCommand(CLI::App& app, CommandContext& context);
void AddRunsCommand(CLI::App& app, CommandContext& context);
void AddCancelCommand(CLI::App& app, CommandContext& context);

// Exit codes of all commands.
inline constexpr int kExitOk = 0;
inline constexpr int kExitFailed = 1;          // could not run, or not write what it should
inline constexpr int kExitBadInput = 2;        // command line, data set, model or configuration
inline constexpr int kExitRequestsFailed = 3;  // measured, but some requests failed
inline constexpr int kExitGateFailed = 4;      // a --fail-if of a comparison holds
inline constexpr int kExitGateNotJudged = 5;   // likewise: too few runs to tell
inline constexpr int kExitInterrupted = 130;   // Ctrl-C; what was measured is kept
inline constexpr char kExitCodesHelp[] =
    "Exit codes: 0 done, 1 could not run, 2 bad input, 3 some requests failed, 130 interrupted.";

// Prints a status that is not OK to stderr; its exit code.
int ExitCodeOf(const absl::Status& status);

// Flushes standard output. `exit_code`, but kExitFailed and a message in place of kExitOk where
// what was printed is lost, on a full disk say; a reader that has left, as `head` does, lost
// nothing.
int FinishOutput(int exit_code);

// `word` as a shell reads it back.
std::string ShellQuoted(const std::string& word);

// `argv` quoted so that a shell runs the same command again.
std::string QuoteCommandLine(int argc, char** argv);

}  // namespace regatta
