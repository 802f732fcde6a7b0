// trtllm-bench's choice of default limits, step by step, with its derivation in words.
#include "common/limits.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/size_text.h"
#include "common/status_macros.h"

namespace regatta {
namespace {

constexpr double kGib = 1024.0 * 1024.0 * 1024.0;
constexpr double kMaxRequests = 4096;
constexpr double kMaxTokens = 32768;
constexpr double kFewRequests = 32;  // the tool warns below these two
constexpr double kLittleCacheGib = 10;

std::string GibText(double gib) { return SizeText(gib * kGib); }

double RoundUp(double value, double step) { return std::ceil(value / step) * step; }

uint32_t RoundBatchSize(double raw) {
  if (raw < 256) return static_cast<uint32_t>(std::max(64.0, RoundUp(raw, 32)));
  return static_cast<uint32_t>(RoundUp(raw, raw < 1024 ? 128 : 256));
}

uint32_t RoundNumTokens(double raw) {
  if (raw < 4096) return static_cast<uint32_t>(std::max(2048.0, RoundUp(raw, 256)));
  return static_cast<uint32_t>(RoundUp(raw, raw < 8192 ? 512 : 1024));
}

absl::Status CheckPositive(const char* what, double value) {
  if (value > 0 && std::isfinite(value)) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(what, " is ", value, "; must be positive"));
}

absl::Status CheckInput(const LimitsInput& input) {
  RETURN_IF_ERROR(CheckPositive("device memory (GiB)", input.device_memory_gib));
  RETURN_IF_ERROR(CheckPositive("tp", input.tp));
  RETURN_IF_ERROR(CheckPositive("pp", input.pp));
  RETURN_IF_ERROR(CheckPositive("bytes per weight", input.weight_bytes_per_element));
  RETURN_IF_ERROR(CheckPositive("bytes per KV element", input.kv_bytes_per_element));
  RETURN_IF_ERROR(CheckPositive("mean input length", input.mean_input_length));
  RETURN_IF_ERROR(CheckPositive("mean output length", input.mean_output_length));
  RETURN_IF_ERROR(CheckPositive("KV cache fraction", input.kv_cache_fraction));
  if (input.kv_cache_fraction > 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("KV cache fraction is ", input.kv_cache_fraction, "; at most 1"));
  }
  return absl::OkStatus();
}

// Fills the memory figures of `advice`; the limits come later.
absl::Status FitMemory(const ModelSpec& spec, const LimitsInput& input, LimitsAdvice& advice,
                       std::string& reasoning) {
  const double ranks = static_cast<double>(input.tp) * input.pp;
  const double total_gib = input.device_memory_gib * ranks;
  advice.weight_gib =
      static_cast<double>(spec.NumParameters()) * input.weight_bytes_per_element / kGib;
  absl::StrAppendFormat(&reasoning, "memory %s x %.0f device%s = %s\n",
                        GibText(input.device_memory_gib), ranks, ranks > 1 ? "s" : "",
                        GibText(total_gib));
  absl::StrAppendFormat(&reasoning, "weights %d parameters x %g bytes = %s\n", spec.NumParameters(),
                        input.weight_bytes_per_element, GibText(advice.weight_gib));
  if (total_gib <= advice.weight_gib) {
    return absl::ResourceExhaustedError(absl::StrFormat(
        "%s needs %s for its weights; %.0f x %s of memory hold %s", spec.name,
        GibText(advice.weight_gib), ranks, GibText(input.device_memory_gib), GibText(total_gib)));
  }
  advice.kv_gib = (total_gib - advice.weight_gib) * input.kv_cache_fraction;

  // KV heads beyond tp are held by every rank, so all ranks together hold max(tp, KV heads) of
  // them.
  const int kv_heads = std::max(static_cast<int>(input.tp), spec.num_kv_heads);
  const double token_bytes =
      2.0 * spec.num_layers * kv_heads * spec.head_dim * input.kv_bytes_per_element;
  advice.kv_tokens = static_cast<int64_t>(advice.kv_gib * kGib / token_bytes);
  const double request_tokens =
      static_cast<double>(input.mean_input_length) + input.mean_output_length;
  advice.max_requests = advice.kv_gib * kGib / (token_bytes * request_tokens);
  absl::StrAppendFormat(&reasoning, "KV cache %g of the remaining %s = %s\n",
                        input.kv_cache_fraction, GibText(total_gib - advice.weight_gib),
                        GibText(advice.kv_gib));
  absl::StrAppendFormat(&reasoning,
                        "one token: 2 x %d layers x %d KV heads x %d x %g bytes = %.0f bytes; "
                        "%d tokens fit\n",
                        spec.num_layers, kv_heads, spec.head_dim, input.kv_bytes_per_element,
                        token_bytes, advice.kv_tokens);
  absl::StrAppendFormat(&reasoning, "requests of %d + %d tokens: %.1f fit at once\n",
                        input.mean_input_length, input.mean_output_length, advice.max_requests);
  if (advice.max_requests < 1) {
    return absl::ResourceExhaustedError(absl::StrFormat(
        "one request of %d + %d tokens needs %s of KV cache; %s are left after %s of weights",
        input.mean_input_length, input.mean_output_length, SizeText(token_bytes * request_tokens),
        GibText(advice.kv_gib), GibText(advice.weight_gib)));
  }
  if (advice.max_requests < kFewRequests || advice.kv_gib / ranks < kLittleCacheGib) {
    absl::StrAppendFormat(&reasoning,
                          "warning: little KV cache (%s per device); throughput will suffer\n",
                          GibText(advice.kv_gib / ranks));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status CheckMaxSeqLen(const ModelSpec& spec, uint32_t max_seq_len) {
  if (max_seq_len <= static_cast<uint32_t>(spec.max_position)) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("max_seq_len ", max_seq_len,
                                                 " is over the context of ", spec.name, ": ",
                                                 spec.max_position, " tokens"));
}

absl::StatusOr<LimitsAdvice> AdviseLimits(const ModelSpec& spec, const LimitsInput& input) {
  RETURN_IF_ERROR(CheckInput(input));
  LimitsAdvice advice;
  std::string reasoning;
  RETURN_IF_ERROR(FitMemory(spec, input, advice, reasoning));

  const double raw_batch = std::min(advice.max_requests, kMaxRequests) / input.pp;
  // In a steady state every generated token is matched by input / output prompt tokens.
  const double ratio =
      1.0 + static_cast<double>(input.mean_input_length) / input.mean_output_length;
  const double raw_tokens = std::min(raw_batch * ratio, kMaxTokens);
  const uint32_t batch_size = RoundBatchSize(raw_batch);
  uint32_t num_tokens = RoundNumTokens(raw_tokens);
  absl::StrAppendFormat(&reasoning, "max_batch_size: min(%.1f, %.0f) / pp %d = %.1f -> %d\n",
                        advice.max_requests, kMaxRequests, input.pp, raw_batch, batch_size);
  absl::StrAppendFormat(
      &reasoning, "max_num_tokens: min(%.1f x (1 + %d / %d), %.0f) = %.1f -> %d\n", raw_batch,
      input.mean_input_length, input.mean_output_length, kMaxTokens, raw_tokens, num_tokens);
  if (!input.chunked_prefill && input.max_input_length + batch_size > num_tokens) {
    num_tokens = input.max_input_length + batch_size;
    absl::StrAppendFormat(&reasoning,
                          "prompts are not chunked: max_num_tokens = longest prompt %d + %d = %d\n",
                          input.max_input_length, batch_size, num_tokens);
  }
  advice.limits.set_max_batch_size(batch_size);
  advice.limits.set_max_num_tokens(num_tokens);
  advice.limits.set_max_seq_len(input.max_seq_len);
  advice.limits.set_reasoning(std::move(reasoning));
  return advice;
}

}  // namespace regatta
