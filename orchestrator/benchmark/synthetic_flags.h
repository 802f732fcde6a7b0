// Flags of synthetic prompts that benchmarks and prepare-dataset share.
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "orchestrator/workload/synthetic.h"

namespace CLI {
class App;
}

namespace regatta {

// How lengths lie around their mean, and what prompts share.
struct SyntheticShape {
  double input_stdev = 0, output_stdev = 0;
  double range_ratio = -1;  // -1: normal, else uniform
  std::string range_meaning = "vllm";
  uint32_t num_prefix_prompts = 0, prefix_length = 0;
};

// --num-prefix-prompts and --prefix-length.
void AddPrefixFlags(CLI::App& command, uint32_t& num_prefix_prompts, uint32_t& prefix_length);
// --range-ratio-meaning.
void AddRangeMeaningFlag(CLI::App& command, std::string& meaning);
// Those, --input-stdev, --output-stdev and --range-ratio.
void AddSyntheticShapeFlags(CLI::App& command, SyntheticShape& shape);

// Options of prompts with the mean lengths. INVALID_ARGUMENT names flags that exclude each other.
absl::StatusOr<SyntheticOptions> SyntheticOptionsOf(const SyntheticShape& shape,
                                                    uint32_t input_length, uint32_t output_length);

}  // namespace regatta
