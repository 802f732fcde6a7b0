// Flags to distributions; see synthetic_flags.h.
#include "orchestrator/benchmark/synthetic_flags.h"

#include <CLI/CLI.hpp>

#include "common/flags.h"
#include "common/status_macros.h"

namespace regatta {

void AddPrefixFlags(CLI::App& command, uint32_t& num_prefix_prompts, uint32_t& prefix_length) {
  command
      .add_option("--num-prefix-prompts", num_prefix_prompts,
                  "one of so many common prefixes stands before each synthetic prompt")
      ->check(WholeRange(1, 1'000'000))
      ->group("Input");
  command
      .add_option("--prefix-length", prefix_length,
                  "tokens of such a prefix, on top of the prompt's own")
      ->check(WholeRange(1, kMaxOutputTokens))
      ->group("Input");
}

void AddRangeMeaningFlag(CLI::App& command, std::string& meaning) {
  command
      .add_option("--range-ratio-meaning", meaning,
                  "of a ratio R and a length L: vllm = uniform in (1-R)L..(1+R)L, inferencemax = "
                  "uniform in RL..L")
      ->capture_default_str()
      ->check(CLI::IsMember({"vllm", "inferencemax"}))
      ->group("Input");
}

void AddSyntheticShapeFlags(CLI::App& command, SyntheticShape& shape) {
  const auto stdev = FiniteRange(0.0, kMaxOutputTokens);
  command
      .add_option("--input-stdev", shape.input_stdev, "of synthetic prompts' lengths (default 0)")
      ->check(stdev)
      ->group("Input");
  command.add_option("--output-stdev", shape.output_stdev, "likewise for outputs (default 0)")
      ->check(stdev)
      ->group("Input");
  command
      .add_option("--range-ratio,--random-range-ratio", shape.range_ratio,
                  "uniform lengths of synthetic prompts and outputs in this ratio, instead")
      ->check(FiniteRange(0.0, 1.0))
      ->group("Input");
  AddRangeMeaningFlag(command, shape.range_meaning);
  AddPrefixFlags(command, shape.num_prefix_prompts, shape.prefix_length);
}

absl::StatusOr<SyntheticOptions> SyntheticOptionsOf(const SyntheticShape& shape,
                                                    uint32_t input_length, uint32_t output_length) {
  SyntheticOptions options;
  options.num_prefix_prompts = shape.num_prefix_prompts;
  options.prefix_length = shape.prefix_length;
  options.input.mean = input_length;
  options.input.stdev = shape.input_stdev;
  options.output.mean = output_length;
  options.output.stdev = shape.output_stdev;
  if (shape.range_ratio < 0) return options;
  if (shape.input_stdev > 0 || shape.output_stdev > 0) {
    return absl::InvalidArgumentError(
        "--range-ratio and --input-stdev or --output-stdev are two distributions: give one");
  }
  ASSIGN_OR_RETURN(const RangeMeaning meaning, ParseRangeMeaning(shape.range_meaning));
  ASSIGN_OR_RETURN(options.input, RangeOf(input_length, shape.range_ratio, meaning));
  ASSIGN_OR_RETURN(options.output, RangeOf(output_length, shape.range_ratio, meaning));
  return options;
}

}  // namespace regatta
