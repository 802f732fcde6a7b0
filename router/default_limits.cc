// Limits with their reasoning; see default_limits.h.
#include "router/default_limits.h"

#include <algorithm>
#include <map>
#include <string>

#include "absl/strings/str_cat.h"
#include "common/check.h"
#include "common/limits.h"
#include "common/status_macros.h"

namespace regatta {
namespace {

constexpr double kGib = 1024.0 * 1024.0 * 1024.0;

// Memory of the rank that has least. Ranks on CPUs share their host's.
double MemoryPerRankGib(const std::vector<const WorkerDescription*>& workers, bool on_device) {
  std::map<std::string, int> ranks_on_host;
  for (const WorkerDescription* worker : workers) ++ranks_on_host[worker->host()];
  double least = 0;
  for (const WorkerDescription* worker : workers) {
    const int sharing = on_device ? 1 : ranks_on_host[worker->host()];
    const double gib = static_cast<double>(worker->memory_bytes()) / sharing / kGib;
    if (least == 0 || gib < least) least = gib;
  }
  return least;
}

// Of keys and values; `plain_bytes` is what "auto" means unless the checkpoint asks for fp8.
double KvBytesPerElement(const std::string& dtype, const ModelSpec& spec, double plain_bytes) {
  if (dtype == "auto") return spec.quantization.kv_cache ? 1 : plain_bytes;
  return dtype == "fp8" ? 1 : dtype == "float32" ? 4 : 2;
}

LimitsInput MakeInput(const ModelSpec& spec, const LimitsPolicy& policy, const Layout& layout,
                      double memory_gib, bool on_device, uint32_t max_seq_len) {
  LimitsInput input;
  input.device_memory_gib = memory_gib;
  input.tp = std::max(layout.attention_tp(), 1u);
  input.pp = std::max(layout.pp(), 1u);
  const bool float32 = policy.dtype == "float32" || (policy.dtype == "auto" && !on_device);
  const double plain_bytes = float32 ? 4 : 2;
  input.weight_bytes_per_element =
      on_device ? spec.WeightBytesPerParameter(plain_bytes) : plain_bytes;  // CPU ranks unpack
  input.kv_bytes_per_element = KvBytesPerElement(policy.kv_cache_dtype, spec, plain_bytes);
  input.kv_cache_fraction = policy.kv_cache_fraction;
  input.mean_input_length = std::max(1u, std::min(policy.mean_input_length, max_seq_len / 2));
  input.mean_output_length = std::max(1u, std::min(policy.mean_output_length, max_seq_len / 2));
  input.max_input_length = max_seq_len;
  input.chunked_prefill = policy.chunked_prefill;
  input.max_seq_len = max_seq_len;
  return input;
}

void CapForCpu(Limits& limits, std::string& reasoning) {
  if (limits.max_batch_size() > kMaxCpuBatchSize) {
    limits.set_max_batch_size(kMaxCpuBatchSize);
    absl::StrAppend(&reasoning, "CPU ranks: max_batch_size capped at ", kMaxCpuBatchSize, "\n");
  }
  if (limits.max_num_tokens() > kMaxCpuNumTokens) {
    limits.set_max_num_tokens(kMaxCpuNumTokens);
    absl::StrAppend(&reasoning, "CPU ranks: max_num_tokens capped at ", kMaxCpuNumTokens, "\n");
  }
}

void KeepAsked(const Limits& asked, Limits& limits, std::string& reasoning) {
  if (asked.max_batch_size() > 0) {
    limits.set_max_batch_size(asked.max_batch_size());
    absl::StrAppend(&reasoning, "max_batch_size ", asked.max_batch_size(), ": asked for\n");
  }
  if (asked.max_num_tokens() > 0) {
    limits.set_max_num_tokens(asked.max_num_tokens());
    absl::StrAppend(&reasoning, "max_num_tokens ", asked.max_num_tokens(), ": asked for\n");
  }
  absl::StrAppend(&reasoning, "max_seq_len ", limits.max_seq_len(),
                  asked.max_seq_len() > 0 ? ": asked for\n" : ": the model's context\n");
}

// Blocks that CPU ranks may take: they find all of the host's memory free, each of them.
uint32_t CpuKvBlocks(const ModelSpec& spec, const LimitsInput& input, int64_t kv_tokens,
                     const LimitsPolicy& policy, std::string& reasoning) {
  const double token_bytes =
      static_cast<double>(spec.KvBytesPerToken(input.kv_bytes_per_element, input.tp)) / input.pp;
  const auto cap = static_cast<int64_t>(kMaxCpuKvGib * kGib / token_bytes);
  const int64_t tokens = std::min(kv_tokens, std::max<int64_t>(cap, input.max_seq_len));
  absl::StrAppend(&reasoning, "CPU ranks: KV cache capped at ", kMaxCpuKvGib,
                  " GiB per rank: ", tokens, " tokens\n");
  return std::max<int64_t>(1, tokens / policy.block_size);
}

}  // namespace

absl::StatusOr<GroupLimits> DeriveLimits(const ModelSpec& spec, const Layout& layout,
                                         const std::vector<const WorkerDescription*>& workers,
                                         const LimitsPolicy& policy, const Limits& asked) {
  CHECK(!workers.empty());
  RETURN_IF_ERROR(CheckMaxSeqLen(spec, asked.max_seq_len()));
  const bool on_device = workers.front()->device_kind() != "cpu";
  const uint32_t max_seq_len =
      asked.max_seq_len() > 0 ? asked.max_seq_len() : static_cast<uint32_t>(spec.max_position);
  const LimitsInput input =
      MakeInput(spec, policy, layout, MemoryPerRankGib(workers, on_device), on_device, max_seq_len);
  ASSIGN_OR_RETURN(LimitsAdvice advice, AdviseLimits(spec, input));
  GroupLimits result{.limits = advice.limits};
  std::string reasoning = advice.limits.reasoning();
  if (!on_device) CapForCpu(result.limits, reasoning);
  KeepAsked(asked, result.limits, reasoning);
  if (policy.max_kv_tokens > 0) {
    result.max_kv_blocks = (policy.max_kv_tokens + policy.block_size - 1) / policy.block_size;
    absl::StrAppend(&reasoning, "KV cache of ", policy.max_kv_tokens, " tokens: asked for\n");
  } else if (!on_device) {
    result.max_kv_blocks = CpuKvBlocks(spec, input, advice.kv_tokens, policy, reasoning);
  }
  result.limits.set_reasoning(std::move(reasoning));
  return result;
}

}  // namespace regatta
