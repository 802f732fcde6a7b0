// `regatta submit`: a sweep, recommendation or partition for the orchestrator service.
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
#include "orchestrator/commands/submittable.h"
#include "orchestrator/service/run_request.h"

namespace regatta {
namespace {

// One command that can be handed in, with its flags; the connection is that of all.
struct Form {
  CLI::App* app;
  std::string command;
  std::unique_ptr<Submittable> what;
};

struct SubmitFlags {
  ServiceAddress service;
  std::string label;
  std::vector<Form> forms;  // the first: a sweep that is not called so
  std::string command;      // the chosen one
  std::vector<std::string> given;
  std::vector<std::string> misplaced;  // before the command
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
  if (!flags.misplaced.empty()) {
    return absl::InvalidArgumentError(absl::StrCat(NameOfFlag(flags.misplaced[0]),
                                                   ": give flags of ", flags.command,
                                                   " behind `submit ", flags.command, "`"));
  }
  StartRunRequest request;
  request.set_command(flags.command);
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
  std::cerr << "run " << run.id() << " (" << run.command() << ") is queued for " << run.target()
            << "; regatta watch " << run.id() << ServiceWords(flags.service) << "\n";
  return absl::OkStatus();
}

// The flags for the command: without those of the connection to the service.
std::vector<std::string> FlagsToSend(const CLI::App& command) {
  std::vector<std::string> flags;
  for (std::string& flag : GivenFlags(command)) {
    const std::string group = command.get_option(NameOfFlag(flag))->get_group();
    if (group != kServiceGroup && group != "TLS") flags.push_back(std::move(flag));
  }
  return flags;
}

// Help names what is taken; what is not is still known, and refused by its own words.
void HideRefused(CLI::App& app) {
  for (CLI::Option* option : app.get_options()) {
    const std::string name = option->get_name();
    const bool measures_nothing = name == "--dry-run" || name == "--gpu";
    if (BelongsToHost(*option) || measures_nothing) option->group("");
  }
}

// Flags of the connection are the same before a command and behind it.
void AddForm(CLI::App& app, const std::string& name, SubmitFlags& flags) {
  Form form{&app, name, MakeSubmittable(name)};
  form.what->AddFlags(app);
  for (const char* of_run : {"--tls-cert", "--tls-key", "--tls-ca", "--insecure"}) {
    app.remove_option(app.get_option(of_run));
  }
  HideRefused(app);
  AddTlsFlags(app, flags.service.tls);
  AddServiceFlag(app, flags.service);
  app.add_option("--label", flags.label, "what people will know it by")->group(kServiceGroup);
  flags.forms.push_back(std::move(form));
}

void Choose(SubmitFlags& flags) {
  const Form* chosen = &flags.forms.front();
  for (const Form& form : flags.forms) {
    if (form.app->parsed()) chosen = &form;
  }
  flags.command = chosen->command;
  flags.given = FlagsToSend(*chosen->app);
  if (chosen != &flags.forms.front()) flags.misplaced = FlagsToSend(*flags.forms.front().app);
}

constexpr char kSubmitExamples[] =
    "Takes the flags of `regatta sweep`, or a command and its flags; --tls-* are for the "
    "connection to the service, which\nhas its own towards routers. Files of --dataset and "
    "--config are sent along; --model is a name on the Hub or a path on\nthe service's host.\n"
    "Examples:\n"
    "  regatta submit --url grpc://router:9000 --dataset 128_128.jsonl --concurrency 1:64:x2\n"
    "  regatta submit recommend --url http://server:8000 --dataset chat.jsonl --goal ttft\n"
    "  regatta submit --service grpc://bench:9500 partition --model MODEL --gpus 4\n"
    "  ID=$(regatta submit --service grpc://bench:9500 --label 'two ranks' --model MODEL --tp 2) "
    "&& regatta watch --service grpc://bench:9500 $ID\n";

}  // namespace

void AddSubmitCommand(CLI::App& app, CommandContext& context) {
  CLI::App& command = *app.add_subcommand(
      "submit", "Hands a measurement to an orchestrator service, which runs it whoever stays.");
  auto flags = std::make_shared<SubmitFlags>();
  AddForm(command, "sweep", *flags);
  for (const std::string name : SubmittableNames()) {
    CLI::App& form = *command.add_subcommand(name, "as `regatta " + name + "`");
    AddForm(form, name, *flags);
    form.footer(std::string(kSubmitExamples) + kExitCodesHelp);
  }
  command.require_subcommand(0, 1);
  command.footer(std::string(kSubmitExamples) + kExitCodesHelp);
  command.callback([flags, &context] {
    Choose(*flags);
    context.chosen = [flags] { return ExitCodeOf(Submit(*flags)); };
  });
}

}  // namespace regatta
