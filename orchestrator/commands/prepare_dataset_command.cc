// `regatta prepare-dataset`: trtllm-bench's command of that name; input and output lengths have
// seeds of their own.
#include <CLI/CLI.hpp>
#include <fstream>
#include <iostream>
#include <memory>

#include "absl/strings/str_cat.h"
#include "common/flags.h"
#include "common/input_file.h"
#include "common/model_spec.h"
#include "common/status_macros.h"
#include "common/text/tokenizer.h"
#include "orchestrator/benchmark/synthetic_flags.h"
#include "orchestrator/commands/commands.h"
#include "orchestrator/hub/model_argument.h"
#include "orchestrator/terminal/interrupt.h"
#include "orchestrator/workload/dataset.h"
#include "orchestrator/workload/length_check.h"
#include "orchestrator/workload/prompt_tokens.h"
#include "orchestrator/workload/sharegpt.h"
#include "orchestrator/workload/synthetic.h"
#include "orchestrator/workload/text_prompts.h"
#include "orchestrator/workload/trace_formats.h"

namespace regatta {
namespace {

constexpr int64_t kMostRequests = 100'000'000;
const CLI::Validator kRequests = WholeRange(1, kMostRequests);
const CLI::Validator kRequestsOrAll = WholeRange(0, kMostRequests);

struct PrepareFlags {
  std::string model, tokenizer;
  std::string output = "preprocessed_dataset.json";
  std::vector<int64_t> random_task_id;
  SyntheticOptions synthetic;
  std::string input_path;  // text
  TextPromptOptions text;
  // Lengths as a ratio.
  uint32_t input_length = 0, output_length = 0;
  double range_ratio = 0;
  std::string range_meaning = "vllm";
  TraceOptions trace;
  std::string trace_format;
  ShareGptOptions sharegpt;
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

// What no server of --model would take is told before it is written.
absl::Status CheckContext(Dataset& dataset, const PrepareFlags& flags) {
  const absl::StatusOr<ModelSpec> spec = LoadModelSpec(flags.model);
  if (!spec.ok()) return absl::OkStatus();  // without a configuration no context is known
  uint32_t line = 0;
  for (DatasetEntry& entry : dataset.entries) entry.line = ++line;  // that it would have
  return CheckRequestLengths(
      dataset,
      {static_cast<uint32_t>(spec->max_position), absl::StrCat("the context of ", spec->name),
       "give --tokenizer in place of --model for a server with another context"});
}

absl::Status Write(const std::vector<DatasetEntry>& entries, const PrepareFlags& flags) {
  Dataset dataset{flags.output, entries};
  if (!flags.model.empty()) RETURN_IF_ERROR(CheckContext(dataset, flags));
  RETURN_IF_ERROR(WriteDataset(entries, flags.output));
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

absl::Status PrepareRange(PrepareFlags& flags) {
  ASSIGN_OR_RETURN(const RangeMeaning meaning, ParseRangeMeaning(flags.range_meaning));
  ASSIGN_OR_RETURN(flags.synthetic.input, RangeOf(flags.input_length, flags.range_ratio, meaning));
  ASSIGN_OR_RETURN(flags.synthetic.output,
                   RangeOf(flags.output_length, flags.range_ratio, meaning));
  return PrepareSynthetic(flags, LengthDistribution::Kind::kUniform);
}

absl::StatusOr<std::ifstream> OpenInput(const PrepareFlags& flags) {
  absl::StatusOr<std::ifstream> file = OpenInputFile(flags.input_path);
  if (file.ok()) return file;
  return absl::NotFoundError(absl::StrCat("--input: ", file.status().message()));
}

absl::Status PrepareTrace(PrepareFlags& flags) {
  RETURN_IF_ERROR(Resolve(flags));
  ASSIGN_OR_RETURN(flags.trace.format, ParseTraceFormat(flags.trace_format));
  flags.trace.seed = flags.synthetic.seed;
  ASSIGN_OR_RETURN(std::ifstream file, OpenInput(flags));
  ASSIGN_OR_RETURN(const auto vocabulary,
                   LoadOrdinaryTokens(ModelDirectory(flags), flags.tokenizer));
  ASSIGN_OR_RETURN(const Trace trace, ReadTrace(file, flags.input_path, flags.trace, vocabulary));
  if (trace.left_out > 0) {
    std::cerr << trace.left_out << " requests left out: without input or output, or too long\n";
  }
  return Write(trace.entries, flags);
}

absl::Status PrepareShareGpt(PrepareFlags& flags) {
  RETURN_IF_ERROR(Resolve(flags));
  const std::string dir = flags.tokenizer.empty() ? flags.model : flags.tokenizer;
  if (dir.empty()) return absl::InvalidArgumentError("give --model DIR or --tokenizer DIR");
  ASSIGN_OR_RETURN(std::ifstream file, OpenInput(flags));
  ASSIGN_OR_RETURN(const std::unique_ptr<Tokenizer> tokenizer, Tokenizer::Load(dir));
  ASSIGN_OR_RETURN(const auto entries,
                   ReadShareGpt(file, flags.input_path, flags.sharegpt, *tokenizer));
  return Write(entries, flags);
}

absl::Status PrepareText(PrepareFlags& flags) {
  RETURN_IF_ERROR(Resolve(flags));
  ASSIGN_OR_RETURN(std::ifstream file, OpenInput(flags));
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
                     "model directory, or org/name on the Hub: its vocabulary is drawn from, and "
                     "no request may be longer than its context");
  command.add_option("--tokenizer", flags.tokenizer, "directory of tokenizer.json, if elsewhere");
  CLI::Option* const output =
      command.add_option("--output", flags.output, "JSON Lines file; - is standard output")
          ->capture_default_str();
  command
      .add_flag_callback(
          "--stdout", [&flags] { flags.output = "-"; }, "as --output -")
      ->excludes(output);
  command.add_option("--random-seed", flags.synthetic.seed, "of all draws")
      ->capture_default_str()
      ->check(WholeRange(0, int64_t{1} << 53));
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
  sub.add_option("--num-requests", flags.synthetic.num_requests, "how many")
      ->required()
      ->check(kRequests);
  AddPrefixFlags(sub, flags.synthetic.num_prefix_prompts, flags.synthetic.prefix_length);
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

void AddRange(CLI::App& command, const std::shared_ptr<PrepareFlags>& flags,
              CommandContext& context) {
  CLI::App& sub = AddSynthetic(command, *flags, "token-range-dist",
                               "Random tokens, lengths uniform in a ratio of the given ones.");
  const CLI::Validator lengths = WholeRange(1, kMaxOutputTokens);
  sub.add_option("--input-len", flags->input_length, "tokens")->required()->check(lengths);
  sub.add_option("--output-len", flags->output_length, "tokens")->required()->check(lengths);
  sub.add_option("--range-ratio,--random-range-ratio", flags->range_ratio, "0..1")->required();
  AddRangeMeaningFlag(sub, flags->range_meaning);
  sub.callback(
      [flags, &context] { context.chosen = [flags] { return ExitCodeOf(PrepareRange(*flags)); }; });
}

void AddTrace(CLI::App& command, const std::shared_ptr<PrepareFlags>& flags,
              CommandContext& context) {
  CLI::App& sub = *command.add_subcommand(
      "trace", "Times and lengths of a published trace, for --fixed-schedule; random tokens.");
  sub.fallthrough();
  sub.add_option("--input", flags->input_path, "the file")->required();
  sub.add_option(
         "--format", flags->trace_format,
         "mooncake (JSON Lines; common blocks of 512 tokens), azure (CSV) or burstgpt (CSV)")
      ->required();
  sub.add_option("--num-requests", flags->trace.num_requests, "the first so many; 0 = all")
      ->check(kRequestsOrAll);
  sub.add_option("--max-input-len", flags->trace.max_input_tokens,
                 "leave out longer prompts; 0 = none");
  sub.add_option("--max-output-len", flags->trace.max_output_tokens,
                 "leave out longer outputs; 0 = none");
  sub.callback(
      [flags, &context] { context.chosen = [flags] { return ExitCodeOf(PrepareTrace(*flags)); }; });
}

void AddShareGpt(CLI::App& command, const std::shared_ptr<PrepareFlags>& flags,
                 CommandContext& context) {
  ShareGptOptions& options = flags->sharegpt;
  CLI::App& sub =
      *command.add_subcommand("sharegpt", "Conversations of a ShareGPT-shaped JSON file.");
  sub.fallthrough();
  sub.add_option("--input", flags->input_path, "the file")->required();
  sub.add_option("--num-requests", options.num_requests, "the first so many; 0 = all")
      ->check(kRequestsOrAll);
  sub.add_option("--output-len", options.output_tokens,
                 "tokens of every output (default: the file's answer's)");
  sub.add_flag("--multi-turn", options.multi_turn, "whole conversations, as sessions");
  sub.add_option("--max-input-len", options.most_prompt_tokens, "leave out longer first prompts")
      ->capture_default_str();
  sub.add_option("--max-total-len", options.most_total_tokens,
                 "leave out first turns of more tokens, prompt and output together")
      ->capture_default_str();
  sub.callback([flags, &context] {
    context.chosen = [flags] { return ExitCodeOf(PrepareShareGpt(*flags)); };
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
  // The kinds inherit the footer as it is when they are added.
  command.footer(
      "Examples:\n"
      "  regatta prepare-dataset --model MODEL --output 128_128.jsonl token-norm-dist "
      "--num-requests 1000 \\\n"
      "    --input-mean 128 --input-stdev 0 --output-mean 128 --output-stdev 0\n"
      "  regatta prepare-dataset --model MODEL --output 1k_1k.jsonl token-range-dist "
      "--num-requests 1000 \\\n"
      "    --input-len 1024 --output-len 1024 --range-ratio 0.2\n"
      "  regatta prepare-dataset --model MODEL --output chat.jsonl text --input prompts.txt\n"
      "  regatta prepare-dataset --model MODEL --output talks.jsonl sharegpt --multi-turn "
      "--input ShareGPT_V3_unfiltered_cleaned_split.json\n"
      "  regatta prepare-dataset --model MODEL --output trace.jsonl trace --format mooncake "
      "--input conversation_trace.jsonl\n"
      "  regatta sweep --model MODEL --dataset 128_128.jsonl --concurrency 1:64:x2\n");
  AddNormal(command, flags, context);
  AddUniform(command, flags, context);
  AddRange(command, flags, context);
  AddTrace(command, flags, context);
  AddShareGpt(command, flags, context);
  AddText(command, flags, context);
}

}  // namespace regatta
