// `regatta pull org/name`: a model into the Hugging Face cache.
#include <CLI/CLI.hpp>
#include <iostream>
#include <memory>

#include "common/flags.h"
#include "common/status_macros.h"
#include "orchestrator/commands/commands.h"
#include "orchestrator/hub/pull.h"
#include "orchestrator/terminal/interrupt.h"

namespace regatta {
namespace {

struct PullFlags {
  std::string repository;
  std::string revision = "main";
  int connections = 4;
  bool offline = false;
};

absl::Status RunPull(const PullFlags& flags) {
  PullOptions options;
  ASSIGN_OR_RETURN(options.hub, ReadHubSettings());
  options.hub.offline |= flags.offline;
  options.repository = flags.repository;
  options.revision = flags.revision;
  options.connections = flags.connections;
  ASSIGN_OR_RETURN(const std::string snapshot, Pull(options, InterruptFlag()));
  std::cout << snapshot << std::endl;
  return absl::OkStatus();
}

}  // namespace

void AddPullCommand(CLI::App& app, CommandContext& context) {
  CLI::App& command = *app.add_subcommand(
      "pull", "Fetches a model from the Hub into the Hugging Face cache and prints its directory.");
  auto flags = std::make_shared<PullFlags>();
  command.add_option("model", flags->repository, "org/name")->required();
  command.add_option("--revision", flags->revision, "branch, tag or commit")->capture_default_str();
  command.add_option("--connections", flags->connections, "files fetched at once")
      ->capture_default_str()
      ->check(WholeRange(1, 32));
  command.add_flag("--offline", flags->offline, "only look whether the cache has it");
  command.footer(
      "Examples:\n"
      "  regatta pull Qwen/Qwen3-0.6B\n"
      "  HF_TOKEN=... regatta pull meta-llama/Llama-3.1-8B-Instruct --revision main\n"
      "  HF_ENDPOINT=https://mirror.example.com regatta pull org/name\n"
      "An interrupted pull goes on where it stopped. The cache is huggingface_hub's (HF_HOME, "
      "HF_HUB_CACHE); only safetensors, configuration and tokenizer are fetched. HF_TOKEN is the "
      "account's token, HF_HUB_OFFLINE=1 the same as --offline. Every command with --model takes "
      "org/name too.");
  command.callback(
      [flags, &context] { context.chosen = [flags] { return ExitCodeOf(RunPull(*flags)); }; });
}

}  // namespace regatta
