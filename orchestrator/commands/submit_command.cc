// `regatta submit`: a sweep for the orchestrator service.
#include <CLI/CLI.hpp>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <memory>
#include <sstream>

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "orchestrator/commands/commands.h"
#include "orchestrator/commands/given_flags.h"
#include "orchestrator/commands/service_flags.h"
#include "orchestrator/commands/sweep_flags.h"
#include "orchestrator/service/run_request.h"

namespace regatta {
namespace {

struct SubmitFlags {
  SweepFlags sweep;
  ServiceAddress service;
  std::string label;
  std::vector<std::string> given;
};

// The file goes along when it is here; else the service looks for it in its own data.
absl::Status AttachFile(const std::string& flag, StartRunRequest& request) {
  const std::string name = NameOfFlag(flag);
  const std::string path = flag.substr(std::min(name.size() + 1, flag.size()));
  std::error_code error;
  if (!std::filesystem::is_regular_file(path, error)) return absl::OkStatus();
  const uintmax_t bytes = std::filesystem::file_size(path, error);
  if (error || bytes > kMaxInputBytes) {
    return absl::InvalidArgumentError(
        absl::StrCat(name, ": '", path, "' has ", bytes, " bytes, at most ", kMaxInputBytes,
                     " are sent; put it into the service's --data directory and name it there"));
  }
  std::ifstream file(path, std::ios::binary);
  std::ostringstream content;
  content << file.rdbuf();
  if (!file) return absl::NotFoundError(absl::StrCat(name, ": cannot read '", path, "'"));
  InputFile& input = *request.add_files();
  input.set_flag(name);
  input.set_content(std::move(content).str());
  return absl::OkStatus();
}

absl::Status Submit(const SubmitFlags& flags) {
  StartRunRequest request;
  request.set_label(flags.label);
  for (const std::string& flag : flags.given) {
    request.add_flags(flag);
    for (const char* const name : FileFlags()) {
      if (NameOfFlag(flag) == name) RETURN_IF_ERROR(AttachFile(flag, request));
    }
  }
  ASSIGN_OR_RETURN(OrchestratorClient client, OrchestratorClient::Dial(flags.service));
  ASSIGN_OR_RETURN(const RunSummary run, client.Start(request));
  std::cout << run.id() << std::endl;  // alone on stdout, for scripts
  std::cerr << "run " << run.id() << " is queued for " << run.target() << "; regatta watch "
            << run.id() << ServiceWords(flags.service) << "\n";
  return absl::OkStatus();
}

// The flags for the sweep: without those of the connection to the service.
std::vector<std::string> FlagsOfSweep(const CLI::App& command) {
  std::vector<std::string> flags;
  for (std::string& flag : GivenFlags(command)) {
    const std::string group = command.get_option(NameOfFlag(flag))->get_group();
    if (group != kServiceGroup && group != "TLS") flags.push_back(std::move(flag));
  }
  return flags;
}

}  // namespace

void AddSubmitCommand(CLI::App& app, CommandContext& context) {
  CLI::App& command = *app.add_subcommand(
      "submit", "Hands a sweep to an orchestrator service, which runs it whoever stays.");
  auto flags = std::make_shared<SubmitFlags>();
  AddServiceFlag(command, flags->service);
  command.add_option("--label", flags->label, "what people will know it by")->group(kServiceGroup);
  AddSweepFlags(command, flags->sweep);
  command.footer(
      std::string(
          "Takes the flags of `regatta sweep`; --tls-* are for the connection to the service, "
          "which has its own towards\nrouters. Files of --dataset and --config are sent along; "
          "--model is a name on the Hub or a path on the service's host.\nExamples:\n"
          "  regatta submit --url grpc://router:9000 --dataset 128_128.jsonl --concurrency "
          "1:64:x2\n"
          "  ID=$(regatta submit --service grpc://bench:9500 --label 'two ranks' "
          "--model MODEL --tp 2) && regatta watch --service grpc://bench:9500 $ID\n") +
      kExitCodesHelp);
  command.callback([flags, &command, &context] {
    flags->given = FlagsOfSweep(command);
    flags->service.tls = flags->sweep.benchmark.tls;
    context.chosen = [flags] { return ExitCodeOf(Submit(*flags)); };
  });
}

}  // namespace regatta
