// Reading of shared fields; see sampling_fields.h.
#include "router/openai/sampling_fields.h"

#include <algorithm>
#include <cstdint>
#include <limits>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "absl/random/random.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "common/string_views.h"
#include "router/openai/error.h"
#include "router/request.h"

namespace regatta {
namespace {

constexpr double kMaxTemperature = 2;
constexpr double kMaxPenalty = 2;
constexpr double kMaxRepetitionPenalty = 10;
constexpr double kMaxBias = 100;

float NumberOr(RequestFields& fields, const char* name, float fallback, double min, double max,
               bool above = false) {
  const std::optional<double> given = fields.Number(name, min, max, above);
  if (!given) return fallback;
  const auto number = static_cast<float>(*given);
  // 0 would mean another thing than the least number above it.
  return above ? std::max(number, std::numeric_limits<float>::min()) : number;
}

// `key` as vocabulary index; nullopt when it is none.
std::optional<uint32_t> TokenOf(std::string_view key, uint32_t vocab_size) {
  uint32_t token = 0;
  const bool digits = !key.empty() && key.size() <= 10 &&
                      key.find_first_not_of("0123456789") == std::string_view::npos;
  if (!digits || !absl::SimpleAtoi(View(key), &token) || token >= vocab_size) return std::nullopt;
  return token;
}

void ReadLogitBias(RequestFields& fields, uint32_t vocab_size, SamplingParams& sampling) {
  const OrderedJson* biases = fields.Object("logit_bias");
  if (biases == nullptr) return;
  if (biases->size() > kMaxLogitBiasEntries) {
    return fields.Fail("logit_bias", absl::StrCat("has ", biases->size(), " entries; at most ",
                                                  kMaxLogitBiasEntries));
  }
  absl::flat_hash_set<uint32_t> seen;
  for (const auto& [key, value] : biases->get_ref<const OrderedJson::object_t&>()) {
    const std::optional<uint32_t> token = TokenOf(key, vocab_size);
    if (!token) {
      return fields.Fail("logit_bias",
                         absl::StrCat("has the key '", key.substr(0, 32),
                                      "'; expected token ids of 0 to ", vocab_size - 1));
    }
    if (!seen.insert(*token).second) {  // "5" and "05".
      return fields.Fail("logit_bias", absl::StrCat("of token ", *token, " is given twice"));
    }
    const double bias = value.is_number() ? value.get<double>() : kMaxBias + 1;
    if (!(bias >= -kMaxBias && bias <= kMaxBias)) {
      return fields.Fail("logit_bias",
                         absl::StrCat("of token ", *token, " is ", ShownValue(value),
                                      "; expected a number from ", -kMaxBias, " to ", kMaxBias));
    }
    sampling.add_bias_token(*token);
    sampling.add_bias(static_cast<float>(bias));
  }
}

void ReadSampling(RequestFields& fields, const OpenAiContext& context, SamplingParams& sampling) {
  const GenerationDefaults& defaults = context.defaults;
  const auto vocab_size = static_cast<uint32_t>(context.model.vocab_size);
  sampling.set_temperature(
      NumberOr(fields, "temperature", defaults.temperature, 0, kMaxTemperature));
  sampling.set_top_p(NumberOr(fields, "top_p", defaults.top_p, 0, 1, /*above=*/true));
  const int64_t top_k =
      fields.Integer("top_k", -1, std::numeric_limits<int32_t>::max()).value_or(defaults.top_k);
  sampling.set_top_k(top_k < 0 ? 0 : std::min<int64_t>(top_k, vocab_size));  // -1, 0 = all
  sampling.set_min_p(NumberOr(fields, "min_p", defaults.min_p, 0, 1));
  sampling.set_repetition_penalty(NumberOr(fields, "repetition_penalty",
                                           defaults.repetition_penalty, 0, kMaxRepetitionPenalty,
                                           /*above=*/true));
  sampling.set_presence_penalty(NumberOr(fields, "presence_penalty", 0, -kMaxPenalty, kMaxPenalty));
  sampling.set_frequency_penalty(
      NumberOr(fields, "frequency_penalty", 0, -kMaxPenalty, kMaxPenalty));
  sampling.set_min_tokens(
      fields.Integer("min_tokens", 0, std::numeric_limits<int32_t>::max()).value_or(0));
  ReadLogitBias(fields, vocab_size, sampling);
}

void AddStop(RequestFields& fields, const OrderedJson& value, GenerateRequest& request) {
  if (!value.is_string()) {
    return fields.Fail("stop", absl::StrCat("holds ", ShownValue(value), "; expected strings"));
  }
  const std::string& stop = value.get_ref<const std::string&>();
  if (stop.empty() || stop.size() > kMaxStopBytes) {
    return fields.Fail("stop", absl::StrCat("holds a string of ", stop.size(),
                                            " bytes; expected 1 to ", kMaxStopBytes));
  }
  request.add_stop(stop);
}

void ReadStops(RequestFields& fields, uint32_t vocab_size, GenerateRequest& request) {
  if (const OrderedJson* stop = fields.Find("stop"); stop != nullptr && !stop->is_array()) {
    AddStop(fields, *stop, request);
  } else if (const OrderedJson* stops = fields.Array("stop", 0, kMaxStops)) {
    for (const OrderedJson& value : *stops) AddStop(fields, value, request);
  }
  const OrderedJson* ids = fields.Array("stop_token_ids", 0, kMaxStopTokenIds);
  for (size_t i = 0; ids != nullptr && i < ids->size(); ++i) {
    const OrderedJson& id = (*ids)[i];
    if (!id.is_number_unsigned() || id.get<uint64_t>() >= vocab_size) {
      return fields.Fail(
          "stop_token_ids",
          absl::StrCat("holds ", ShownValue(id), "; expected token ids of 0 to ", vocab_size - 1));
    }
    request.add_stop_token_ids(id.get<uint32_t>());
  }
  request.set_include_stop_in_output(fields.Bool("include_stop_str_in_output", false));
  request.set_ignore_eos(fields.Bool("ignore_eos", false));
}

// Any number of 64 bits, with a sign or without; negative ones count modulo 2^64.
std::optional<uint64_t> ReadSeed(RequestFields& fields) {
  const OrderedJson* seed = fields.Find("seed");
  if (seed == nullptr) return std::nullopt;
  if (seed->is_number_unsigned()) return seed->get<uint64_t>();
  if (seed->is_number_integer()) return static_cast<uint64_t>(seed->get<int64_t>());
  fields.Fail("seed", absl::StrCat("is ", ShownValue(*seed), "; expected a whole number from ",
                                   std::numeric_limits<int64_t>::min(), " to ",
                                   std::numeric_limits<uint64_t>::max()));
  return std::nullopt;
}

void ReadStreaming(RequestFields& fields, SharedFields& shared) {
  shared.stream = fields.Bool("stream", false);
  const OrderedJson* options = fields.Object("stream_options");
  if (options == nullptr) return;
  if (!shared.stream) return fields.Fail("stream_options", "is given without stream");
  RequestFields of_stream(*options, "stream_options", fields.status());
  shared.include_usage = of_stream.Bool("include_usage", false);
  shared.continuous_usage = of_stream.Bool("continuous_usage_stats", false);
  of_stream.Ignore("include_obfuscation");  // Padding against observers of packet sizes: none here.
  of_stream.RefuseOthers();
  if (shared.continuous_usage && !shared.include_usage) {
    fields.Fail("stream_options", "has continuous_usage_stats without include_usage");
  }
}

// Fields that change nothing here, as long as they ask for nothing.
void ReadHarmless(RequestFields& fields) {
  for (const char* name : {"user", "safety_identifier", "prompt_cache_key"}) {
    fields.String(name, kMaxUserBytes);
  }
  fields.Object("metadata");
  if (fields.Bool("store", false)) fields.Fail("store", "is true; nothing is stored here");
  const std::optional<std::string> tier = fields.String("service_tier", kMaxUserBytes);
  if (tier && *tier != "auto" && *tier != "default") {
    fields.Fail("service_tier", absl::StrCat("is '", *tier, "'; expected auto or default"));
  }
}

// Known from elsewhere, so that the answer is better than "not a known field".
void RefuseForeign(RequestFields& fields) {
  for (const char* name :
       {"guided_json", "guided_regex", "guided_choice", "guided_grammar", "structured_outputs"}) {
    fields.Refuse(name, "use response_format");
  }
  for (const char* name : {"use_beam_search", "length_penalty", "truncate_prompt_tokens",
                           "bad_words", "logits_processors", "prompt_logprobs", "cache_salt",
                           "spaces_between_special_tokens", "vllm_xargs", "kv_transfer_params"}) {
    fields.Refuse(name);
  }
}

}  // namespace

void ReadSharedFields(RequestFields& fields, const OpenAiContext& context, SharedFields& shared) {
  GenerateRequest& request = shared.request;
  ReadSampling(fields, context, *request.mutable_sampling());
  ReadStops(fields, static_cast<uint32_t>(context.model.vocab_size), request);
  ReadStreaming(fields, shared);
  shared.n = fields.Integer("n", 1, kMaxChoices).value_or(1);
  shared.seed = ReadSeed(fields);
  request.set_skip_special_tokens(fields.Bool("skip_special_tokens", true));
  // As in vLLM lower runs first; in ours, larger.
  request.set_priority(
      -static_cast<int32_t>(fields.Integer("priority", -kMaxPriority, kMaxPriority).value_or(0)));
  shared.return_token_ids = fields.Bool("return_token_ids", false);
  request.set_return_text(true);
  ReadHarmless(fields);
  RefuseForeign(fields);
}

absl::Status CheckModel(const std::optional<std::string>& model, const OpenAiContext& context,
                        bool optional) {
  if (!model) {
    if (optional) return absl::OkStatus();
    return absl::InvalidArgumentError(
        absl::StrCat("model: is missing; '", context.model_names.front(), "' is served"));
  }
  const auto& names = context.model_names;
  if (std::find(names.begin(), names.end(), *model) != names.end()) return absl::OkStatus();
  return WithApiCode(
      absl::NotFoundError(absl::StrCat("model: '", model->substr(0, 128), "' does not exist; '",
                                       names.front(), "' is served")),
      "model_not_found");
}

absl::Status CheckContextLength(std::string_view field, size_t prompt_tokens, uint32_t max_tokens,
                                uint32_t max_seq_len) {
  if (prompt_tokens == 0)
    return absl::InvalidArgumentError(absl::StrCat(View(field), ": has no tokens"));
  const bool fits = prompt_tokens + std::max(max_tokens, 1u) <= max_seq_len;
  if (fits || max_seq_len == 0) return absl::OkStatus();
  return WithApiCode(
      absl::InvalidArgumentError(
          absl::StrCat(View(field), ": this model's maximum context length is ", max_seq_len,
                       " tokens; the prompt has ", prompt_tokens,
                       max_tokens == 0 ? " and leaves no room for the one that is always drawn"
                                       : absl::StrCat(" and ", max_tokens, " more are asked for"))),
      "context_length_exceeded");
}

absl::Status CheckLogprobs(const SharedFields& shared, uint64_t prompt_tokens, uint64_t tokens) {
  const SamplingParams& sampling = shared.request.sampling();
  if (!sampling.logprobs()) return absl::OkStatus();
  const uint64_t each = uint64_t{1} + sampling.top_logprobs();
  if (prompt_tokens * each > kMaxEchoedLogprobs) {
    return absl::InvalidArgumentError(
        absl::StrCat("logprobs: ", each, " at each of ", prompt_tokens,
                     " tokens of a prompt are over the limit of ", kMaxEchoedLogprobs));
  }
  if (!shared.stream && tokens * each > kMaxWholeLogprobs) {
    return absl::InvalidArgumentError(absl::StrCat(
        "logprobs: ", each, " at each of up to ", tokens, " tokens are over the limit of ",
        kMaxWholeLogprobs, " for one answer; set max_tokens, or stream"));
  }
  return absl::OkStatus();
}

uint64_t SeedOfChoice(std::optional<uint64_t> seed, uint32_t index) {
  if (seed) return *seed + index;
  thread_local absl::BitGen random;
  return absl::Uniform<uint64_t>(random);
}

}  // namespace regatta
