// Default max_batch_size and max_num_tokens: trtllm-bench's heuristic, reproduced so that both
// tools start from the same limits.
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/model_spec.h"
#include "proto/types.pb.h"

namespace regatta {

// Of --dummy-router-skew: beyond it every token has the same experts.
inline constexpr double kMaxRouterSkew = 4;

// INVALID_ARGUMENT when `max_seq_len` tokens (0 = not asked for) are over the context of `spec`.
absl::Status CheckMaxSeqLen(const ModelSpec& spec, uint32_t max_seq_len);

struct LimitsInput {
  double device_memory_gib = 0;  // of one device
  uint32_t tp = 1;
  uint32_t pp = 1;
  double weight_bytes_per_element = 2;  // 1 for fp8
  double kv_bytes_per_element = 2;
  double kv_cache_fraction = 0.9;
  uint32_t mean_input_length = 0;  // of the workload
  uint32_t mean_output_length = 0;
  uint32_t max_input_length = 0;  // only used without chunked prefill
  bool chunked_prefill = true;
  uint32_t max_seq_len = 0;  // copied to the result
};

struct LimitsAdvice {
  Limits limits;  // `reasoning` holds the derivation, one line per step
  double weight_gib = 0;
  double kv_gib = 0;  // over all ranks of a copy
  int64_t kv_tokens = 0;
  double max_requests = 0;  // of mean length that fit at once
};

// Source: TensorRT-LLM bench/build/tuning.py. RESOURCE_EXHAUSTED when weights or one request do not
// fit, naming sizes and memory.
absl::StatusOr<LimitsAdvice> AdviseLimits(const ModelSpec& spec, const LimitsInput& input);

}  // namespace regatta
