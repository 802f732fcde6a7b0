// Synthetic data sets of given length distributions: trtllm-bench's token-norm-dist and
// token-unif-dist. Pure: a function of the options.
#pragma once

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "orchestrator/workload/counter_random.h"
#include "orchestrator/workload/dataset.h"

namespace regatta {

// Token lengths. Normal: ceil of the draw, at least 1, as trtllm-bench does. Uniform: both ends
// included.
struct LengthDistribution {
  enum class Kind { kNormal, kUniform };
  Kind kind = Kind::kNormal;
  double mean = 0, stdev = 0;         // normal
  uint32_t minimum = 0, maximum = 0;  // uniform
};

// What a range ratio r makes of a length L.
enum class RangeMeaning {
  kVllm,  // `vllm bench serve --random-range-ratio`: uniform in [(1-r) L, (1+r) L], r in 0..1
  kInferenceMax,  // InferenceMAX's fork of it: uniform in [r L, L], of mean (1+r)/2 L, r in 0..1
};

// "vllm" or "inferencemax"; INVALID_ARGUMENT names the value.
absl::StatusOr<RangeMeaning> ParseRangeMeaning(absl::string_view name);

// The uniform distribution of that; its lower end is at least 1. INVALID_ARGUMENT names the ratio.
absl::StatusOr<LengthDistribution> RangeOf(uint32_t length, double ratio, RangeMeaning meaning);

struct SyntheticOptions {
  uint32_t num_requests = 0;
  LengthDistribution input, output;  // drawn from independent streams of the seed
  // Before each prompt stands one of so many prefixes of that length, drawn uniformly (aiperf's
  // --num-prefix-prompts and --prefix-prompt-length); its tokens come on top of the input length.
  uint32_t num_prefix_prompts = 0;
  uint32_t prefix_length = 0;
  uint64_t seed = 420;
  int64_t task_id = -1;             // every request's task_id; -1 = a running number
  int64_t random_task_id_min = -1;  // both >= 0: task_id uniform in [min, max]
  int64_t random_task_id_max = -1;
};

// `vocabulary`: the ids to draw from, uniformly. INVALID_ARGUMENT names the option, its value and
// the limit.
absl::StatusOr<std::vector<DatasetEntry>> MakeSyntheticDataset(
    const SyntheticOptions& options, const std::vector<uint32_t>& vocabulary);

// The length of request `index` for the given stream (RandomStream::kInputLength, say).
uint32_t DrawLength(const LengthDistribution& lengths, uint64_t seed, RandomStream stream,
                    uint64_t index);

// OK, or INVALID_ARGUMENT with `name` ("input" or "output") for impossible parameters.
absl::Status CheckLengths(const LengthDistribution& lengths, const std::string& name);

}  // namespace regatta
