// `regatta prepare-dataset`: trtllm-bench's command of that name; input and output lengths have
// seeds of their own.
#include <CLI/CLI.hpp>
#include <fstream>
#include <iostream>
#include <memory>

#include "absl/strings/str_cat.h"
#include "common/model_spec.h"
#include "common/status_macros.h"
#include "common/text/tokenizer.h"
#include "orchestrator/commands/commands.h"
#include "orchestrator/hub/model_argument.h"
#include "orchestrator/terminal/interrupt.h"
#include "orchestrator/workload/dataset.h"
#include "orchestrator/workload/prompt_tokens.h"
#include "orchestrator/workload/synthetic.h"
#include "orchestrator/workload/text_prompts.h"

namespace regatta {
namespace {

struct PrepareFlags {
  std::string model, tokenizer;
  std::string output = "preprocessed_dataset.json";
  std::vector<int64_t> random_task_id;
  SyntheticOptions synthetic;
  std::string input_path;  // text
  TextPromptOptions text;
};

std::string ModelDirectory(const PrepareFlags& flags) {
  return flags.model.empty() ? flags.tokenizer : flags.model;
}

// Pulls a model that is named as on the Hub, but for its weights.
absl::Status Resolve(PrepareFlags& flags) {
  for (std::string* model : {&flags.model, &flags.tokenizer}) {
    ASSIGN_OR_RETURN(*model, ResolveModel(*model, ModelParts::kWithoutWeights, InterruptFlag()));
  }
  return absl::OkStatus();
}

absl::Status Write(const std::vector<DatasetEntry>& entries, const PrepareFlags& flags) {
  RETURN_IF_ERROR(WriteDataset(entries, flags.output));
  Dataset dataset;
  dataset.entries = entries;
  std::cerr << entries.size() << " requests";
  if (dataset.mean_input_length() > 0) {
    std::cerr << ", mean input " << dataset.mean_input_length() << " tokens";
  }
  std::cerr << ", mean output " << dataset.mean_output_length() << " tokens: " << flags.output
            << "\n";
  return absl::OkStatus();
}

absl::Status PrepareSynthetic(PrepareFlags& flags, LengthDistribution::Kind kind) {
  RETURN_IF_ERROR(Resolve(flags));
  flags.synthetic.input.kind = flags.synthetic.output.kind = kind;
  if (flags.random_task_id.size() == 2) {
    flags.synthetic.random_task_id_min = flags.random_task_id[0];
    flags.synthetic.random_task_id_max = flags.random_task_id[1];
  }
  ASSIGN_OR_RETURN(const auto vocabulary,
                   LoadOrdinaryTokens(ModelDirectory(flags), flags.tokenizer));
  ASSIGN_OR_RETURN(const auto entries, MakeSyntheticDataset(flags.synthetic, vocabulary));
  return Write(entries, flags);
}

absl::Status PrepareText(PrepareFlags& flags) {
  RETURN_IF_ERROR(Resolve(flags));
  std::ifstream file(flags.input_path, std::ios::binary);
  if (!file) {
    return absl::NotFoundError(absl::StrCat("--input: cannot read '", flags.input_path, "'"));
  }
  const std::string dir = flags.tokenizer.empty() ? flags.model : flags.tokenizer;
  flags.text.model_name = ModelDirectory(flags).empty() ? "" : ModelNameOf(ModelDirectory(flags));
  std::unique_ptr<Tokenizer> tokenizer;
  if (!dir.empty()) {
    ASSIGN_OR_RETURN(tokenizer, Tokenizer::Load(dir));
  } else if (flags.text.max_input_tokens > 0) {
    return absl::InvalidArgumentError("--max-input-len needs --model DIR or --tokenizer DIR");
  }
  ASSIGN_OR_RETURN(const auto entries,
                   ReadTextPrompts(file, flags.input_path, flags.text, tokenizer.get()));
  return Write(entries, flags);
}

void AddCommonFlags(CLI::App& command, PrepareFlags& flags) {
  command.add_option("-m,--model", flags.model,
                     "model directory, or org/name on the Hub: its vocabulary is drawn from");
  command.add_option("--tokenizer", flags.tokenizer, "directory of tokenizer.json, if elsewhere");
  command.add_option("--output", flags.output, "JSON Lines file; - is standard output")
      ->capture_default_str();
  command.add_option("--random-seed", flags.synthetic.seed, "of all draws")->capture_default_str();
  command
      .add_option("--task-id", flags.synthetic.task_id, "task_id of every request; -1 numbers them")
      ->capture_default_str();
  command
      .add_option("--rand-task-id", flags.random_task_id, "draw task_id uniformly from MIN..MAX")
      ->expected(2);
}

CLI::App& AddSynthetic(CLI::App& command, PrepareFlags& flags, const char* name,
                       const char* description) {
  CLI::App& sub = *command.add_subcommand(name, description);
  sub.fallthrough();  // common flags may follow
  sub.add_option("--num-requests", flags.synthetic.num_requests, "how many")->required();
  return sub;
}

void AddNormal(CLI::App& command, const std::shared_ptr<PrepareFlags>& flags,
               CommandContext& context) {
  CLI::App& sub = AddSynthetic(command, *flags, "token-norm-dist",
                               "Random tokens, normally distributed lengths.");
  SyntheticOptions& options = flags->synthetic;
  sub.add_option("--input-mean", options.input.mean, "tokens")->required();
  sub.add_option("--input-stdev", options.input.stdev, "tokens")->required();
  sub.add_option("--output-mean", options.output.mean, "tokens")->required();
  sub.add_option("--output-stdev", options.output.stdev, "tokens")->required();
  sub.callback([flags, &context] {
    context.chosen = [flags] {
      return ExitCodeOf(PrepareSynthetic(*flags, LengthDistribution::Kind::kNormal));
    };
  });
}

void AddUniform(CLI::App& command, const std::shared_ptr<PrepareFlags>& flags,
                CommandContext& context) {
  CLI::App& sub = AddSynthetic(command, *flags, "token-unif-dist",
                               "Random tokens, uniformly distributed lengths (ends included).");
  SyntheticOptions& options = flags->synthetic;
  sub.add_option("--input-min", options.input.minimum, "tokens")->required();
  sub.add_option("--input-max", options.input.maximum, "tokens")->required();
  sub.add_option("--output-min", options.output.minimum, "tokens")->required();
  sub.add_option("--output-max", options.output.maximum, "tokens")->required();
  sub.callback([flags, &context] {
    context.chosen = [flags] {
      return ExitCodeOf(PrepareSynthetic(*flags, LengthDistribution::Kind::kUniform));
    };
  });
}

void AddText(CLI::App& command, const std::shared_ptr<PrepareFlags>& flags,
             CommandContext& context) {
  CLI::App& sub =
      *command.add_subcommand("text", "Prompts of a text file, one per line, or of JSON Lines.");
  sub.fallthrough();
  sub.add_option("--input", flags->input_path, "the file")->required();
  sub.add_option("--num-requests", flags->text.num_requests, "the first so many; 0 = all");
  sub.add_option("--output-len", flags->text.output_tokens,
                 "tokens of every output (default: the line's own, its answer's, or 128)");
  sub.add_option("--max-input-len", flags->text.max_input_tokens,
                 "leave out prompts of more tokens; 0 = none");
  sub.callback(
      [flags, &context] { context.chosen = [flags] { return ExitCodeOf(PrepareText(*flags)); }; });
}

}  // namespace

void AddPrepareDatasetCommand(CLI::App& app, CommandContext& context) {
  CLI::App& command =
      *app.add_subcommand("prepare-dataset", "Writes a data set in trtllm-bench's JSON Lines.");
  auto flags = std::make_shared<PrepareFlags>();
  command.require_subcommand(1);
  AddCommonFlags(command, *flags);
  AddNormal(command, flags, context);
  AddUniform(command, flags, context);
  AddText(command, flags, context);
  command.footer(
      "Examples:\n"
      "  regatta prepare-dataset --model MODEL --output 128_128.jsonl token-norm-dist "
      "--num-requests 1000 \\\n"
      "    --input-mean 128 --input-stdev 0 --output-mean 128 --output-stdev 0\n"
      "  regatta prepare-dataset --model MODEL --output chat.jsonl text --input prompts.txt");
}

}  // namespace regatta
