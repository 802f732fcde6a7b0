// `regatta report DIR`: everything again from stored results.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <filesystem>
#include <iostream>
#include <memory>

#include "common/status_macros.h"
#include "orchestrator/benchmark/run_directory.h"
#include "orchestrator/benchmark/stored_run.h"
#include "orchestrator/commands/commands.h"
#include "orchestrator/report/report.h"

namespace regatta {
namespace {

struct ReportFlags {
  std::string path;
  std::vector<std::string> exports;
  bool markdown = false;
  int width = 100;
};

absl::Status Redraw(const ReportFlags& flags) {
  ASSIGN_OR_RETURN(const SweepReport sweep, LoadResults(flags.path));
  const std::filesystem::path path(flags.path);
  const bool is_directory = std::filesystem::is_directory(path);
  const std::string folder = is_directory ? path.string() : (path.parent_path() / ".").string();
  RETURN_IF_ERROR(WriteReports(sweep, folder, flags.markdown));
  if (!flags.exports.empty()) {
    ASSIGN_OR_RETURN(const StoredRun run, LoadStoredRun(flags.path));
    RETURN_IF_ERROR(ExportTo(run, flags.exports, folder + "/export").status());
  }
  for (const PointReport& point : sweep.points()) {
    std::cout << RenderTerminalReport(point) << "\n";
  }
  std::cout << RenderSweepOverview(sweep, ::isatty(STDOUT_FILENO) == 1, flags.width);
  if (!sweep.completed()) std::cout << "The run was cut short.\n";
  std::cout << "Repeat:  " << sweep.command() << "\n";
  return absl::OkStatus();
}

}  // namespace

void AddReportCommand(CLI::App& app, CommandContext& context) {
  CLI::App& command = *app.add_subcommand(
      "report", "Redraws the terminal report, HTML, SVG and CSV of a stored run.");
  auto flags = std::make_shared<ReportFlags>();
  command.add_option("dir", flags->path, "a run's directory, or its results.json")->required();
  command.add_flag("--markdown", flags->markdown, "also write summary.md");
  command
      .add_option("--export", flags->exports,
                  "also write these formats into DIR/export (see regatta export --help)")
      ->delimiter(',');
  command.add_option("--width", flags->width, "columns of the drawn frontier")
      ->check(CLI::Range(40, 400))
      ->capture_default_str();
  command.footer(
      "Example:\n  regatta report results/20261122T180000Z-regatta-dense-tp2 --markdown");
  command.callback(
      [flags, &context] { context.chosen = [flags] { return ExitCodeOf(Redraw(*flags)); }; });
}

}  // namespace regatta
