// `regatta report DIR [DIR...]`: everything again from stored results; several runs on one page.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <filesystem>
#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/flags.h"
#include "common/status_macros.h"
#include "orchestrator/benchmark/run_directory.h"
#include "orchestrator/benchmark/stored_run.h"
#include "orchestrator/commands/commands.h"
#include "orchestrator/report/report.h"

namespace regatta {
namespace {

struct ReportFlags {
  std::vector<std::string> paths;
  std::string output;
  std::vector<std::string> exports;
  bool markdown = false;
  int width = 100;
};

namespace fs = std::filesystem;

// The directory that `path`, a run's or its results.json, stands for.
fs::path DirectoryOf(const fs::path& path) {
  return fs::is_directory(path) ? path : path.parent_path() / ".";
}

absl::StatusOr<fs::path> OutputDirectory(const std::string& path) {
  std::error_code error;
  fs::create_directories(path, error);
  if (!error) return fs::path(path);
  return absl::UnavailableError(
      absl::StrCat("--output: cannot create '", path, "': ", error.message()));
}

void PrintSweep(const SweepReport& sweep, int width) {
  std::cout << RenderSweepOverview(sweep, ::isatty(STDOUT_FILENO) == 1, width);
  if (!sweep.completed()) std::cout << "The run was cut short.\n";
  std::cout << RepeatLines(sweep);
}

absl::Status Redraw(const ReportFlags& flags) {
  ASSIGN_OR_RETURN(const SweepReport sweep, LoadResults(flags.paths[0]));
  if (sweep.points().empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat(flags.paths[0], ": no point was measured, there is nothing to draw"));
  }
  const fs::path directory = DirectoryOf(flags.paths[0]);
  RETURN_IF_ERROR(WriteReports(sweep, directory.string(), flags.markdown));
  if (!flags.exports.empty()) {
    ASSIGN_OR_RETURN(const StoredRun run, LoadStoredRun(flags.paths[0]));
    RETURN_IF_ERROR(ExportTo(run, flags.exports, (directory / "export").string()).status());
  }
  for (const PointReport& point : sweep.points()) {
    std::cout << RenderTerminalReport(point) << "\n";
  }
  PrintSweep(sweep, flags.width);
  return absl::OkStatus();
}

// "20261122T180000Z-model-tp2" of its directory, however the path is spelled.
std::string RunName(const fs::path& path) {
  const fs::path directory = fs::absolute(DirectoryOf(path)).lexically_normal();
  const fs::path name = directory.filename();
  return (name.empty() ? directory.parent_path().filename() : name).string();
}

absl::Status Overlay(const ReportFlags& flags) {
  if (flags.markdown) return absl::InvalidArgumentError("--markdown: give one run only");
  if (!flags.exports.empty()) return absl::InvalidArgumentError("--export: give one run only");
  std::vector<ReportedRun> runs;
  for (const std::string& path : flags.paths) {
    ReportedRun run;
    run.name = RunName(path);
    ASSIGN_OR_RETURN(run.sweep, LoadResults(path));
    ASSIGN_OR_RETURN(run.details, LoadRunDetails(DirectoryOf(path).string(), run.sweep));
    runs.push_back(std::move(run));
  }
  ASSIGN_OR_RETURN(const fs::path output,
                   OutputDirectory(flags.output.empty() ? "overlay" : flags.output));
  RETURN_IF_ERROR(WriteOverlay(runs, output.string()));
  for (const ReportedRun& run : runs) PrintSweep(run.sweep, flags.width);
  std::cout << "Overlay: " << (output / "report.html").string() << "\n";
  return absl::OkStatus();
}

absl::Status Report(const ReportFlags& flags) {
  if (flags.paths.size() > 1) return Overlay(flags);
  if (flags.output.empty()) return Redraw(flags);
  return absl::InvalidArgumentError("--output: one run's report goes into its own directory");
}

}  // namespace

void AddReportCommand(CLI::App& app, CommandContext& context) {
  CLI::App& command = *app.add_subcommand(
      "report",
      "Redraws the terminal report, HTML, SVG and CSV of a stored run; of several runs one "
      "page with all of them.");
  auto flags = std::make_shared<ReportFlags>();
  command.add_option("dir", flags->paths, "runs' directories, or their results.json")->required();
  command.add_option("--output", flags->output,
                     "with several runs: directory of report.html and pareto.svg [overlay]");
  command.add_flag("--markdown", flags->markdown, "also write summary.md");
  command
      .add_option("--export", flags->exports,
                  "also write these formats into DIR/export (see regatta export --help)")
      ->delimiter(',');
  command.add_option("--width", flags->width, "columns of the drawn frontier")
      ->check(WholeRange(40, 400))
      ->capture_default_str();
  command.footer(
      "Examples:\n  regatta report results/20261122T180000Z-regatta-dense-tp2 --markdown\n"
      "  regatta report results/*-llama-* --output compared");
  command.callback(
      [flags, &context] { context.chosen = [flags] { return ExitCodeOf(Report(*flags)); }; });
}

}  // namespace regatta
