// Limits of a group from what its workers describe: trtllm-bench's heuristic, what was asked for,
// and caps where ranks share a host. Pure.
#pragma once

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "common/model_spec.h"
#include "proto/types.pb.h"
#include "proto/worker.pb.h"

namespace regatta {

struct LimitsPolicy {
  std::string dtype = "auto";  // of the weights, as in ModelSource
  std::string kv_cache_dtype = "auto";
  double kv_cache_fraction = 0.9;
  uint32_t block_size = 16;
  uint32_t max_kv_tokens = 0;  // asked cap of the KV cache; 0 = none
  bool chunked_prefill = true;
  uint32_t mean_input_length = 1024;  // of the expected workload
  uint32_t mean_output_length = 1024;
};

struct GroupLimits {
  Limits limits;               // all set, with reasoning
  uint32_t max_kv_blocks = 0;  // 0 = as many as fit
};

inline constexpr uint32_t kMaxCpuBatchSize = 256;
inline constexpr uint32_t kMaxCpuNumTokens = 2048;
inline constexpr double kMaxCpuKvGib = 1;  // per rank

// `workers` are all ranks that will be formed, of every copy. Non-zero fields of `asked` are kept.
// RESOURCE_EXHAUSTED when the model does not fit; INVALID_ARGUMENT when an asked limit is
// impossible, naming it.
absl::StatusOr<GroupLimits> DeriveLimits(const ModelSpec& spec, const Layout& layout,
                                         const std::vector<const WorkerDescription*>& workers,
                                         const LimitsPolicy& policy, const Limits& asked);

}  // namespace regatta
