// The table; see config_numbers.h.
#include "common/config_numbers.h"

#include "absl/strings/str_cat.h"
#include "common/check.h"
#include "common/config.h"
#include "common/layout.h"

namespace regatta {
namespace {

constexpr NumberRange Whole(double least, double most) { return {least, most, /*whole=*/true}; }

constexpr double kMaxBatch = 1 << 20, kMaxTokens = 1 << 24, kMaxCacheTokens = 1 << 30;
constexpr double kMaxMilliseconds = 86'400'000;  // one day

constexpr ConfigNumber kNumbers[] = {
    {"tensor_parallel_size", Whole(1, kMaxRanks), "1"},
    {"pipeline_parallel_size", Whole(1, kMaxRanks), "1"},
    {"moe_expert_parallel_size", Whole(1, kMaxRanks), "1"},
    {"data_parallel_size", Whole(1, kMaxRanks), "1"},
    {"max_batch_size", Whole(1, kMaxBatch), "derived"},
    {"max_num_tokens", Whole(1, kMaxTokens), "derived"},
    {"max_seq_len", Whole(1, kMaxTokens), "the model's context"},
    {"max_inflight", Whole(1, kMaxInflight), "max(2, pp)"},
    {"max_queue_size", Whole(1, kMaxBatch), "16384"},
    {"queue_timeout_ms", Whole(0, kMaxMilliseconds), "0, none"},
    {"kv_cache_config.free_gpu_memory_fraction", {1e-06, 1}, "0.9"},
    {"kv_cache_config.tokens_per_block", Whole(1, kMaxTokens), "16"},
    {"kv_cache_config.max_tokens", Whole(1, kMaxCacheTokens), "what memory holds"},
    {"cuda_graph_config.max_batch_size", Whole(1, kMaxBatch), "max_batch_size"},
    {"cuda_graph_config.batch_sizes", Whole(1, kMaxBatch), "derived"},
};

}  // namespace

std::string ConfigNumber::Help(absl::string_view text) const {
  return absl::StrCat(text, " (default: ", by_default, ")");
}

const ConfigNumber* FindConfigNumber(absl::string_view key) {
  for (const ConfigNumber& number : kNumbers) {
    if (key == number.key) return &number;
  }
  return nullptr;
}

const ConfigNumber& ConfigNumberOf(absl::string_view key) {
  const ConfigNumber* number = FindConfigNumber(key);
  CHECK(number != nullptr) << key;
  return *number;
}

}  // namespace regatta
