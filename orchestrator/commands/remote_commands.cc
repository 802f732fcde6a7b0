// `regatta watch`, `runs`, `fetch`, `cancel`: what becomes of submitted runs.
#include <CLI/CLI.hpp>
#include <iostream>
#include <memory>

#include "absl/strings/str_cat.h"
#include "common/flags.h"
#include "common/status_macros.h"
#include "orchestrator/commands/commands.h"
#include "orchestrator/commands/service_flags.h"
#include "orchestrator/service/run_text.h"
#include "orchestrator/terminal/status_line.h"

namespace regatta {
namespace {

struct RemoteFlags {
  ServiceAddress service;
  std::string id;
  std::string dir;
  uint32_t limit = 20;
};

using RemoteAction = absl::StatusOr<int> (*)(const RemoteFlags&);

absl::StatusOr<int> WatchRun(const RemoteFlags& flags) {
  ASSIGN_OR_RETURN(OrchestratorClient client, OrchestratorClient::Dial(flags.service));
  StatusLine status(stderr);
  std::string shown;
  const auto see = [&](const RunProgress& progress) {
    if (progress.points_size() > 0) status.Remove();
    for (const PointReport& point : progress.points()) {
      std::cout << PointText(point) << std::endl;
    }
    std::string line = absl::StrCat("run ", flags.id, " (", progress.run().command(), ") ",
                                    StateName(progress.run().state()));
    if (!progress.line().empty()) absl::StrAppend(&line, " ", progress.line());
    if (line != shown) status.Show(line);
    shown = std::move(line);
  };
  ASSIGN_OR_RETURN(const RunSummary run, client.Watch(flags.id, see));
  status.Remove();
  std::cout << RunText(run, ServiceWords(flags.service));
  if (run.state() == RUN_CANCELLED) return kExitInterrupted;
  if (run.state() == RUN_FAILED) return kExitFailed;
  return run.failed_requests() > 0 ? kExitRequestsFailed : kExitOk;
}

absl::StatusOr<int> List(const RemoteFlags& flags) {
  ASSIGN_OR_RETURN(OrchestratorClient client, OrchestratorClient::Dial(flags.service));
  ASSIGN_OR_RETURN(const ListRunsResponse runs, client.List(flags.limit));
  std::cout << RunsText(runs);
  return kExitOk;
}

absl::StatusOr<int> Fetch(const RemoteFlags& flags) {
  ASSIGN_OR_RETURN(OrchestratorClient client, OrchestratorClient::Dial(flags.service));
  const std::string dir = flags.dir.empty() ? absl::StrCat("run-", flags.id) : flags.dir;
  ASSIGN_OR_RETURN(const int files, client.Fetch(flags.id, dir));
  std::cout << files << " files in " << dir << "\n";
  return kExitOk;
}

absl::StatusOr<int> Cancel(const RemoteFlags& flags) {
  ASSIGN_OR_RETURN(OrchestratorClient client, OrchestratorClient::Dial(flags.service));
  ASSIGN_OR_RETURN(const RunSummary run, client.Cancel(flags.id));
  std::cout << RunText(run, ServiceWords(flags.service));
  return kExitOk;
}

CLI::App& AddRemote(CLI::App& app, const char* name, const char* text, RemoteAction action,
                    const std::shared_ptr<RemoteFlags>& flags, CommandContext& context) {
  CLI::App& command = *app.add_subcommand(name, text);
  AddServiceFlag(command, flags->service);
  AddTlsFlags(command, flags->service.tls);
  command.callback([action, flags, &context] {
    context.chosen = [action, flags] {
      const absl::StatusOr<int> code = action(*flags);
      return code.ok() ? *code : ExitCodeOf(code.status());
    };
  });
  return command;
}

void AddId(CLI::App& command, RemoteFlags& flags) {
  command.add_option("id", flags.id, "of the run, as `regatta submit` printed it")->required();
}

}  // namespace

void AddWatchCommand(CLI::App& app, CommandContext& context) {
  auto flags = std::make_shared<RemoteFlags>();
  CLI::App& command = AddRemote(app, "watch",
                                "Shows a submitted run until it ends: its finished points, then "
                                "how far it is. Ctrl-C leaves it running.",
                                WatchRun, flags, context);
  AddId(command, *flags);
  command.footer(
      "Example:\n  regatta watch 17 --service grpc://bench:9500\n"
      "Exit codes: 0 done, 1 it failed, 2 bad input, 3 some requests failed, 130 cancelled.");
}

void AddRunsCommand(CLI::App& app, CommandContext& context) {
  auto flags = std::make_shared<RemoteFlags>();
  CLI::App& command =
      AddRemote(app, "runs", "Lists submitted runs, newest first.", List, flags, context);
  command.add_option("--limit", flags->limit, "runs that are listed")
      ->check(WholeRange(1, 1000))
      ->capture_default_str();
  command.footer(std::string("Example:\n  regatta runs --limit 5\n") + kExitCodesHelp);
}

void AddFetchCommand(CLI::App& app, CommandContext& context) {
  auto flags = std::make_shared<RemoteFlags>();
  CLI::App& command =
      AddRemote(app, "fetch", "Copies the files of a submitted run here, also while it runs.",
                Fetch, flags, context);
  AddId(command, *flags);
  command.add_option("dir", flags->dir, "new directory for them (default: run-ID)");
  command.footer(std::string("Example:\n  regatta fetch 17 results/seventeen && "
                             "regatta report results/seventeen\n") +
                 kExitCodesHelp);
}

void AddCancelCommand(CLI::App& app, CommandContext& context) {
  auto flags = std::make_shared<RemoteFlags>();
  CLI::App& command =
      AddRemote(app, "cancel",
                "Ends a submitted run; returns when nothing of it is left. Its points are kept.",
                Cancel, flags, context);
  AddId(command, *flags);
  command.footer(std::string("Example:\n  regatta cancel 17\n") + kExitCodesHelp);
}

}  // namespace regatta
