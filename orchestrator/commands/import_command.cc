// `regatta import FILE...`: results of other tools as a run that reports can draw beside ours.
#include <CLI/CLI.hpp>
#include <iostream>
#include <memory>

#include "common/flags.h"
#include "common/status_macros.h"
#include "orchestrator/benchmark/environment.h"
#include "orchestrator/benchmark/stored_run.h"
#include "orchestrator/commands/commands.h"
#include "orchestrator/terminal/printable.h"

namespace regatta {
namespace {

struct ImportFlags {
  std::vector<std::string> files;
  std::string output = "results";
  ImportOptions options;
};

absl::Status Import(const ImportFlags& flags, const std::string& command_line) {
  ASSIGN_OR_RETURN(const std::vector<TextFile> files,
                   ReadTextFiles(flags.files, flags.options.format));
  ASSIGN_OR_RETURN(std::vector<StoredRun> runs, ImportFiles(files, flags.options));
  for (StoredRun& run : runs) {
    MakePrintable(run.sweep);
    run.sweep.set_command(command_line);
    run.sweep.set_working_directory(WorkingDirectory());
    run.sweep.mutable_imported()->set_imported_utc(UtcTimestamp());
    ASSIGN_OR_RETURN(const std::string path, SaveStoredRun(run, flags.output));
    std::cout << path << "\n";
  }
  std::cerr << runs.size() << (runs.size() == 1 ? " run" : " runs") << ", published by others ("
            << runs[0].sweep.imported().format() << ")\n";
  for (const std::string& note : runs[0].sweep.imported().notes())
    std::cerr << "! " << note << "\n";
  return absl::OkStatus();
}

}  // namespace

void AddImportCommand(CLI::App& app, CommandContext& context) {
  CLI::App& command = *app.add_subcommand(
      "import", "Reads results of other tools into runs that reports can draw beside ours.");
  auto flags = std::make_shared<ImportFlags>();
  ImportOptions& options = flags->options;
  command
      .add_option("files", flags->files, "the files of one publication, or folders that have them")
      ->required();
  command.add_option("-f,--format", options.format, "auto, or a name below")->capture_default_str();
  command.add_option("-o,--output", flags->output, "directory that gets the runs' own directories")
      ->capture_default_str();
  command.add_option("--source", options.published_by, "who published it: a name or an address");
  command.add_option("--model", options.model, "where the files do not say");
  command.add_option("--device", options.device, "where the files do not say: NVIDIA H100");
  command.add_option("--gpus", options.gpus, "of the deployment, where the files do not say")
      ->check(WholeRange(1, 65536));
  command
      .add_option("--concurrency", options.concurrency,
                  "of points whose files say neither users nor a rate")
      ->check(WholeRange(1, 1000000));
  command.footer("Formats:\n" + FormatsHelp() +
                 "Example:\n  regatta import agg_gptoss.json --source inferencex.semianalysis.com\n"
                 "  regatta import artifacts --format aiperf --gpus 2");
  command.callback([flags, &context] {
    context.chosen = [flags, &context] { return ExitCodeOf(Import(*flags, context.command_line)); };
  });
}

}  // namespace regatta
