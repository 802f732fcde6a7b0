// Validation of client requests; see request.h.
#include "router/request.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"

namespace regatta {
namespace {

template <typename... Parts>
absl::Status Invalid(const Parts&... parts) {
  return absl::InvalidArgumentError(absl::StrCat(parts...));
}

absl::Status CheckRange(absl::string_view field, float value, float low, float high) {
  if (std::isfinite(value) && value >= low && value <= high) return absl::OkStatus();
  return Invalid(field, ": ", value, " is not within [", low, ", ", high, "]");
}

absl::Status CheckIds(const char* field, const google::protobuf::RepeatedField<uint32_t>& ids,
                      uint32_t vocab_size) {
  for (int i = 0; i < ids.size(); ++i) {
    if (ids[i] >= vocab_size) {
      return Invalid(field, "[", i, "]: ", ids[i], " is not below the vocabulary size ",
                     vocab_size);
    }
  }
  return absl::OkStatus();
}

absl::Status CheckBias(const SamplingParams& sampling, uint32_t vocab_size) {
  const auto& tokens = sampling.bias_token();
  if (tokens.size() != sampling.bias_size()) {
    return Invalid("sampling.bias: ", sampling.bias_size(), " values for ", tokens.size(),
                   " of sampling.bias_token");
  }
  if (tokens.size() > kMaxBiasTokens) {
    return Invalid("sampling.bias_token: ", tokens.size(), " ids are over the limit of ",
                   kMaxBiasTokens);
  }
  RETURN_IF_ERROR(CheckIds("sampling.bias_token", tokens, vocab_size));
  for (int i = 0; i < tokens.size(); ++i) {
    RETURN_IF_ERROR(CheckRange(absl::StrCat("sampling.bias[", i, "]"), sampling.bias(i),
                               -kLargestBias, kLargestBias));
  }
  std::vector<uint32_t> sorted(tokens.begin(), tokens.end());
  std::sort(sorted.begin(), sorted.end());
  const auto twice = std::adjacent_find(sorted.begin(), sorted.end());
  if (twice == sorted.end()) return absl::OkStatus();
  return Invalid("sampling.bias_token: ", *twice, " is given twice");
}

absl::Status CheckConstraint(const GenerateRequest& request) {
  const Constraint& constraint = request.constraint();
  if (constraint.kind_case() == Constraint::KIND_NOT_SET) return absl::OkStatus();
  if (constraint.has_json_object() && !constraint.json_object()) {
    return Invalid("constraint.json_object: false; leave the constraint out");
  }
  if (constraint.json_schema().size() > kMaxSchemaBytes) {
    return Invalid("constraint.json_schema: ", constraint.json_schema().size(),
                   " bytes are over the limit of ", kMaxSchemaBytes);
  }
  // Where the output is complete nothing but an end token may come.
  if (request.ignore_eos()) return Invalid("ignore_eos: a constraint says where the output ends");
  if (request.sampling().min_tokens() > 0) {
    return Invalid("sampling.min_tokens: ", request.sampling().min_tokens(),
                   ", but a constraint says where the output ends");
  }
  if (request.stop_token_ids_size() > 0) {
    return Invalid("stop_token_ids: would cut the output that a constraint keeps whole");
  }
  return absl::OkStatus();
}

absl::Status CheckPromptLogprobs(const GenerateRequest& request, uint64_t prompt) {
  const uint64_t entries = prompt * (1 + request.sampling().top_logprobs());
  if (!request.prompt_logprobs() || entries <= kMaxPromptLogprobs) return absl::OkStatus();
  return Invalid("prompt_logprobs: ", prompt, " tokens with top_logprobs ",
                 request.sampling().top_logprobs(), " are ", entries,
                 " log-probabilities, over the limit of ", kMaxPromptLogprobs);
}

absl::Status CheckSampling(const SamplingParams& sampling, uint32_t max_tokens,
                           uint32_t vocab_size) {
  RETURN_IF_ERROR(CheckRange("sampling.temperature", sampling.temperature(), 0, 100));
  RETURN_IF_ERROR(CheckRange("sampling.top_p", sampling.top_p(), 0, 1));
  RETURN_IF_ERROR(CheckRange("sampling.min_p", sampling.min_p(), 0, 1));
  RETURN_IF_ERROR(CheckRange("sampling.repetition_penalty", sampling.repetition_penalty(), 0, 10));
  RETURN_IF_ERROR(CheckRange("sampling.presence_penalty", sampling.presence_penalty(), -2, 2));
  RETURN_IF_ERROR(CheckRange("sampling.frequency_penalty", sampling.frequency_penalty(), -2, 2));
  if (sampling.top_logprobs() > kMaxTopLogprobs) {
    return Invalid("sampling.top_logprobs: ", sampling.top_logprobs(), " is over the limit of ",
                   kMaxTopLogprobs);
  }
  if (max_tokens > 0 && sampling.min_tokens() > max_tokens) {
    return Invalid("sampling.min_tokens: ", sampling.min_tokens(), " is over max_tokens ",
                   max_tokens);
  }
  if (sampling.suppressed_until_min_tokens_size() > static_cast<int>(kMaxStopTokenIds)) {
    return Invalid(
        "sampling.suppressed_until_min_tokens: ", sampling.suppressed_until_min_tokens_size(),
        " ids are over the limit of ", kMaxStopTokenIds);
  }
  RETURN_IF_ERROR(CheckBias(sampling, vocab_size));
  return CheckIds("sampling.suppressed_until_min_tokens", sampling.suppressed_until_min_tokens(),
                  vocab_size);
}

absl::Status CheckStops(const GenerateRequest& request, uint32_t vocab_size) {
  if (request.stop_size() > static_cast<int>(kMaxStops)) {
    return Invalid("stop: ", request.stop_size(), " strings are over the limit of ", kMaxStops);
  }
  for (int i = 0; i < request.stop_size(); ++i) {
    const size_t bytes = request.stop(i).size();
    if (bytes == 0 || bytes > kMaxStopBytes) {
      return Invalid("stop[", i, "]: ", bytes, " bytes are not within [1, ", kMaxStopBytes, "]");
    }
  }
  if (request.stop_token_ids_size() > static_cast<int>(kMaxStopTokenIds)) {
    return Invalid("stop_token_ids: ", request.stop_token_ids_size(), " ids are over the limit of ",
                   kMaxStopTokenIds);
  }
  return CheckIds("stop_token_ids", request.stop_token_ids(), vocab_size);
}

absl::StatusOr<std::vector<uint32_t>> PromptTokens(const GenerateRequest& request,
                                                   const RequestLimits& limits) {
  if (request.prompt_case() == GenerateRequest::kTokenIds) {
    const auto& ids = request.token_ids().ids();
    RETURN_IF_ERROR(CheckIds("token_ids", ids, limits.model.vocab_size));
    return std::vector<uint32_t>(ids.begin(), ids.end());
  }
  if (request.prompt_case() != GenerateRequest::kText) {
    return Invalid("prompt: neither text nor token_ids is given");
  }
  if (limits.tokenizer == nullptr) {
    return Invalid("text: ", limits.model.name, " has no tokenizer.json; give token_ids");
  }
  const std::vector<int32_t> ids = limits.tokenizer->Encode(request.text(), true, true);
  std::vector<uint32_t> tokens(ids.begin(), ids.end());
  for (const uint32_t token : tokens) {
    if (token >= static_cast<uint32_t>(limits.model.vocab_size)) {
      return Invalid("text: the tokenizer gave token ", token, ", the model's vocabulary ends at ",
                     limits.model.vocab_size);
    }
  }
  return tokens;
}

absl::Status CheckLength(size_t prompt, uint32_t max_tokens, const RequestLimits& limits) {
  if (prompt == 0) return Invalid("prompt: 0 tokens; at least 1 is needed");
  if (prompt >= limits.max_seq_len) {
    return Invalid("prompt: ", prompt, " tokens leave no room for output within max_seq_len ",
                   limits.max_seq_len);
  }
  if (max_tokens > limits.max_seq_len - prompt) {
    return Invalid("max_tokens: ", max_tokens, " and the prompt's ", prompt,
                   " tokens are over max_seq_len ", limits.max_seq_len);
  }
  if (!limits.chunked_prefill && prompt > limits.max_num_tokens) {
    return Invalid("prompt: ", prompt, " tokens are over max_num_tokens ", limits.max_num_tokens,
                   ", and chunked prefill is off");
  }
  return absl::OkStatus();
}

absl::Status CheckTextWanted(const GenerateRequest& request, const RequestLimits& limits) {
  if (limits.tokenizer != nullptr) return absl::OkStatus();
  if (request.return_text()) {
    return Invalid("return_text: ", limits.model.name, " has no tokenizer.json");
  }
  if (request.stop_size() > 0)
    return Invalid("stop: ", limits.model.name, " has no tokenizer.json");
  return absl::OkStatus();
}

SequenceSpec MakeSpec(const GenerateRequest& request, const RequestLimits& limits,
                      std::vector<uint32_t> tokens) {
  SequenceSpec spec;
  spec.prompt_length = tokens.size();
  spec.tokens = std::move(tokens);
  spec.max_output_tokens = request.max_tokens();
  spec.sampling = request.sampling();
  spec.stop_token_ids.assign(request.stop_token_ids().begin(), request.stop_token_ids().end());
  if (!request.ignore_eos()) {
    spec.stop_token_ids.insert(spec.stop_token_ids.end(), limits.model.eos_token_ids.begin(),
                               limits.model.eos_token_ids.end());
  }
  if (spec.sampling.min_tokens() > 0) {
    spec.sampling.mutable_suppressed_until_min_tokens()->Add(spec.stop_token_ids.begin(),
                                                             spec.stop_token_ids.end());
  }
  spec.priority = limits.ignore_priority ? 0 : request.priority();
  spec.prompt_logprobs = request.prompt_logprobs();
  spec.prefix_cache =
      limits.prefix_cache && !request.no_prefix_cache() && !request.prompt_logprobs();
  spec.constrained = request.constraint().kind_case() != Constraint::KIND_NOT_SET;
  return spec;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Request>> MakeRequest(const GenerateRequest& request,
                                                     const RequestLimits& limits, int64_t now_ns) {
  if (request.request_id().size() > kMaxRequestIdBytes) {
    return Invalid("request_id: ", request.request_id().size(), " bytes are over the limit of ",
                   kMaxRequestIdBytes);
  }
  if (request.priority() < -kMaxPriority || request.priority() > kMaxPriority) {
    return Invalid("priority: ", request.priority(), " is not within [", -kMaxPriority, ", ",
                   kMaxPriority, "]");
  }
  RETURN_IF_ERROR(CheckSampling(request.sampling(), request.max_tokens(), limits.model.vocab_size));
  RETURN_IF_ERROR(CheckStops(request, limits.model.vocab_size));
  RETURN_IF_ERROR(CheckConstraint(request));
  RETURN_IF_ERROR(CheckTextWanted(request, limits));
  ASSIGN_OR_RETURN(std::vector<uint32_t> tokens, PromptTokens(request, limits));
  RETURN_IF_ERROR(CheckLength(tokens.size(), request.max_tokens(), limits));
  RETURN_IF_ERROR(CheckPromptLogprobs(request, tokens.size()));

  OutputOptions output;
  output.return_text = request.return_text();
  output.return_token_ids = request.return_token_ids();
  output.skip_special_tokens = !request.has_skip_special_tokens() || request.skip_special_tokens();
  output.continue_text = request.continue_text();
  output.include_stop = request.include_stop_in_output();
  output.stops.assign(request.stop().begin(), request.stop().end());
  output.min_tokens = request.sampling().min_tokens();
  output.prompt_tokens = tokens.size();
  output.arrived_ns = now_ns;

  const uint32_t prompt_length = tokens.size();
  const uint32_t timeout_ms =
      request.queue_timeout_ms() > 0 ? request.queue_timeout_ms() : limits.queue_timeout_ms;
  return std::make_unique<Request>(Request{
      .spec = MakeSpec(request, limits, std::move(tokens)),
      .output = OutputProcessor(std::move(output), limits.tokenizer),
      .wanted = request.constraint(),
      .queue_deadline_ns = timeout_ms > 0 ? now_ns + int64_t{timeout_ms} * 1'000'000 : 0,
      .longest =
          request.max_tokens() > 0 ? prompt_length + request.max_tokens() : limits.max_seq_len,
  });
}

}  // namespace regatta
