// Ranges of sampling parameters; see sampling_check.h.
#include "worker/sampling_check.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"

namespace regatta {
namespace {

absl::Status CheckRange(const char* field, float value, float low, float high) {
  if (value >= low && value <= high) return absl::OkStatus();  // false for NaN
  return absl::InvalidArgumentError(
      absl::StrCat(field, " ", value, " is outside ", low, " to ", high));
}

bool IsOn(float factor) { return factor != 0 && factor != 1; }

absl::Status CheckBias(const SamplingParams& params, uint32_t vocab_size) {
  constexpr float kMost = 100;
  if (params.bias_token_size() != params.bias_size() || params.bias_size() > kMaxBias) {
    return absl::InvalidArgumentError(absl::StrCat(params.bias_token_size(), " bias tokens, ",
                                                   params.bias_size(), " biases; equal, at most ",
                                                   kMaxBias));
  }
  for (uint32_t id : params.bias_token()) {
    if (id < vocab_size) continue;
    return absl::InvalidArgumentError(
        absl::StrCat("bias token ", id, " is outside the vocabulary of ", vocab_size));
  }
  std::vector<uint32_t> ids(params.bias_token().begin(), params.bias_token().end());
  std::sort(ids.begin(), ids.end());
  if (const auto twice = std::adjacent_find(ids.begin(), ids.end()); twice != ids.end()) {
    return absl::InvalidArgumentError(absl::StrCat("bias token ", *twice, " is given twice"));
  }
  for (float bias : params.bias()) RETURN_IF_ERROR(CheckRange("bias", bias, -kMost, kMost));
  return absl::OkStatus();
}

}  // namespace

bool HasPenalties(const SamplingParams& params) {
  return IsOn(params.repetition_penalty()) || params.presence_penalty() != 0 ||
         params.frequency_penalty() != 0;
}

absl::StatusOr<SampleRow> ToSampleRow(const SamplingParams& params, uint32_t vocab_size) {
  constexpr float kAny = 1e6f;
  RETURN_IF_ERROR(CheckRange("temperature", params.temperature(), 0, kAny));
  RETURN_IF_ERROR(CheckRange("top_p", params.top_p(), 0, 1));
  RETURN_IF_ERROR(CheckRange("min_p", params.min_p(), 0, 1));
  RETURN_IF_ERROR(CheckRange("repetition_penalty", params.repetition_penalty(), 0, kAny));
  RETURN_IF_ERROR(CheckRange("presence_penalty", params.presence_penalty(), -kAny, kAny));
  RETURN_IF_ERROR(CheckRange("frequency_penalty", params.frequency_penalty(), -kAny, kAny));
  if (params.top_logprobs() > kMaxTopLogprobs) {
    return absl::InvalidArgumentError(
        absl::StrCat("top_logprobs ", params.top_logprobs(), " exceeds ", kMaxTopLogprobs));
  }
  for (uint32_t id : params.suppressed_until_min_tokens()) {
    if (id >= vocab_size) {
      return absl::InvalidArgumentError(
          absl::StrCat("suppressed id ", id, " is outside the vocabulary of ", vocab_size));
    }
  }
  RETURN_IF_ERROR(CheckBias(params, vocab_size));
  SampleRow row;
  row.num_bias = params.bias_token_size();
  row.temperature = params.temperature();
  row.top_k = static_cast<int>(std::min(params.top_k(), vocab_size));
  row.top_p = params.top_p();
  row.min_p = params.min_p();
  row.repetition_penalty = params.repetition_penalty();
  row.presence_penalty = params.presence_penalty();
  row.frequency_penalty = params.frequency_penalty();
  row.seed = params.seed();
  const bool wants_logprobs = params.logprobs() || params.top_logprobs() > 0;
  row.num_logprobs = wants_logprobs ? static_cast<int>(params.top_logprobs()) : -1;
  return row;
}

}  // namespace regatta
