// `regatta export DIR --format NAME`: a stored run in the formats of other tools.
#include <CLI/CLI.hpp>
#include <filesystem>
#include <iostream>
#include <memory>

#include "common/status_macros.h"
#include "orchestrator/benchmark/stored_run.h"
#include "orchestrator/commands/commands.h"

namespace regatta {
namespace {

struct ExportFlags {
  std::string path, output;
  std::vector<std::string> formats;
};

absl::Status Export(const ExportFlags& flags) {
  ASSIGN_OR_RETURN(const StoredRun run, LoadStoredRun(flags.path));
  const std::filesystem::path path(flags.path);
  const std::filesystem::path folder =
      std::filesystem::is_directory(path) ? path : path.parent_path();
  const std::string output = flags.output.empty() ? (folder / "export").string() : flags.output;
  ASSIGN_OR_RETURN(const std::vector<std::string> written, ExportTo(run, flags.formats, output));
  for (const std::string& file : written) std::cout << file << "\n";
  return absl::OkStatus();
}

}  // namespace

void AddExportCommand(CLI::App& app, CommandContext& context) {
  CLI::App& command =
      *app.add_subcommand("export", "Writes a stored run in the formats of other tools.");
  auto flags = std::make_shared<ExportFlags>();
  command.add_option("dir", flags->path, "a run's directory, or its results.json")->required();
  command.add_option("-f,--format", flags->formats, "one or more, separated by commas")
      ->delimiter(',')
      ->required();
  command.add_option("-o,--output", flags->output, "directory (default: DIR/export)");
  command.footer("Formats:\n" + FormatsHelp() +
                 "Example:\n  regatta export results/20261122T180000Z-regatta-dense-tp2 "
                 "--format vllm,aiperf,inferencex");
  command.callback(
      [flags, &context] { context.chosen = [flags] { return ExitCodeOf(Export(*flags)); }; });
}

}  // namespace regatta
