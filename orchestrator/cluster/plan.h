// `regatta plan`: does a model fit, how many tokens of KV cache, which limits, which layouts. Needs
// no GPU and loads no weights.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/model_spec.h"

namespace regatta {

// Mean tokens of prompts and of outputs that plans assume.
inline constexpr uint32_t kUsualPlanLength = 1024;

struct PlanInput {
  std::string gpu = "H200";   // a name of KnownGpus()
  double gpu_memory_gib = 0;  // overrides the name's memory when set
  uint32_t tp = 1, pp = 1, ep = 1, dp = 1;
  std::string dtype = "auto";         // of weights: auto | float32 | bfloat16 | float16 | fp8
  std::string quantization = "auto";  // see ResolveQuantization
  std::string kv_cache_dtype = "auto";
  double kv_cache_fraction = 0.9;
  // 0 = kUsualPlanLength, or what the longest sequence leaves of it.
  uint32_t mean_input_length = 0;
  uint32_t mean_output_length = 0;
  uint32_t max_seq_len = 0;  // 0 = the model's
};

struct Gpu {
  const char* name;
  double memory_gib;  // as NVML reports the total
};
const std::vector<Gpu>& KnownGpus();

// Of the GPU called `name`, in any case. INVALID_ARGUMENT names those that are known.
absl::StatusOr<double> GpuMemoryGib(const std::string& name);

// The plan as text for a terminal. INVALID_ARGUMENT names an unknown GPU, dtype, lengths over the
// longest sequence or an impossible layout with those that fit; RESOURCE_EXHAUSTED says by how much
// a model does not fit and the smallest tensor-parallel size at which it does.
absl::StatusOr<std::string> RenderPlan(const ModelSpec& spec, const PlanInput& input);

}  // namespace regatta
