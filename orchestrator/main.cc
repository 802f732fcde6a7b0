// `regatta`: the command a person types. Wires the subcommands; each is in its own file.
#include <CLI/CLI.hpp>
#include <csignal>
#include <string>

#include "common/flags.h"
#include "orchestrator/commands/commands.h"
#include "orchestrator/grpc/polling.h"

int main(int argc, char** argv) {
  regatta::PollOwnSockets();
  // A run goes on when whoever reads along leaves: files are its result.
  std::signal(SIGPIPE, SIG_IGN);
  CLI::App app("Serves and benchmarks large language models on many ranks.", "regatta");
  app.require_subcommand(1);
  app.footer(std::string("Examples:\n"
                         "  regatta serve tests/models/regatta-dense\n"
                         "  regatta sweep --model tests/models/regatta-dense --concurrency 1:8:x2\n"
                         "  regatta sweep --url http://server:8000 --dataset chat.jsonl\n") +
             regatta::kExitCodesHelp);
  regatta::CommandContext context;
  context.command_line = regatta::QuoteCommandLine(argc, argv);
  regatta::AddServeCommand(app, context);
  regatta::AddPullCommand(app, context);
  regatta::AddSweepCommand(app, context);
  regatta::AddRecommendCommand(app, context);
  regatta::AddPartitionCommand(app, context);
  regatta::AddThroughputCommand(app, context);
  regatta::AddPrepareDatasetCommand(app, context);
  regatta::AddReportCommand(app, context);
  regatta::AddExportCommand(app, context);
  regatta::AddImportCommand(app, context);
  regatta::AddCompareCommand(app, context);
  regatta::AddPlanCommand(app, context);
  regatta::AddDoctorCommand(app, context);
  regatta::AddCertsCommand(app, context);
  regatta::AddClusterCommand(app, context);
  regatta::AddNullServerCommand(app, context);
  regatta::AddOrchestratorCommand(app, context);
  regatta::AddSubmitCommand(app, context);
  regatta::AddWatchCommand(app, context);
  regatta::AddFetchCommand(app, context);
  regatta::AddRunsCommand(app, context);
  regatta::AddCancelCommand(app, context);
  const int exit_code = regatta::ParseFlags(app, argc, argv);
  return regatta::FinishOutput(exit_code >= 0 ? exit_code : context.chosen());
}
