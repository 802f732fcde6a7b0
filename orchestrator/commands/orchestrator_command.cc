// `regatta orchestrator`: measuring as a service.
#include <CLI/CLI.hpp>
#include <memory>

#include "common/flags.h"
#include "orchestrator/commands/commands.h"
#include "orchestrator/service/orchestrator_server.h"
#include "orchestrator/terminal/interrupt.h"

namespace regatta {

void AddOrchestratorCommand(CLI::App& app, CommandContext& context) {
  CLI::App& command = *app.add_subcommand(
      "orchestrator",
      "Runs what others submit, one at a time per server; goes on with it after a crash.");
  auto options = std::make_shared<OrchestratorServerOptions>();
  command.add_option("--listen", options->listen, "host:port; port 0 = any free one")
      ->capture_default_str();
  command.add_option("--address-file", options->address_file, "write the bound address there");
  command
      .add_option("--state", options->state_dir,
                  "directory of the list of runs and of their results; made if need be")
      ->required();
  command
      .add_option("--data", options->data_dir,
                  "directory of data sets that clients may name instead of sending their own")
      ->check(CLI::ExistingDirectory);
  command.add_option("--max-queued", options->max_queued, "runs that may wait")
      ->check(WholeRange(1, 10'000))
      ->capture_default_str();
  command
      .add_option("--stop-grace", options->stop_grace_s,
                  "seconds that a cancelled run has to end by itself")
      ->check(FiniteRange(0.0, 3600.0))
      ->capture_default_str();
  command.add_flag("--allow-changes", options->allow_changes,
                   "take runs that change a running router: recommend --apply, partition --url");
  command.add_flag("--send-api-key", options->send_api_key,
                   "send OPENAI_API_KEY to the HTTP servers that clients name, whichever they are");
  AddTlsFlags(command, options->tls);
  command.footer(
      "Examples:\n"
      "  regatta orchestrator --state runs\n"
      "  regatta orchestrator --listen 0.0.0.0:9500 --state /state --tls-ca ca.crt "
      "--tls-cert orchestrator.crt --tls-key orchestrator.key\n"
      "The certificate is also what routers are called with. Clients: regatta submit, watch, runs, "
      "fetch, cancel.\n"
      "Exit codes: 0 ended by Ctrl-C or SIGTERM, 1 could not run, 2 bad input.");
  command.callback([options, &context] {
    context.chosen = [options] {
      return ExitCodeOf(RunOrchestratorServer(*options, InterruptFlag()));
    };
  });
}

}  // namespace regatta
