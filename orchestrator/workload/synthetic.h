// Synthetic data sets of given length distributions: trtllm-bench's token-norm-dist and
// token-unif-dist. Pure: a function of the options.
#pragma once

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
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

struct SyntheticOptions {
  uint32_t num_requests = 0;
  LengthDistribution input, output;  // drawn from independent streams of the seed
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
