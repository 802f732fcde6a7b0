// Tokens in, tokens out; see prompt_tokens.h.
#include "router/openai/prompt_tokens.h"

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "common/string_views.h"
#include "common/text/token_offsets.h"
#include "router/openai/error.h"
#include "router/request.h"

namespace regatta {
namespace {

constexpr size_t kIdSuffixBytes = 8;  // "-1023" and to spare
constexpr size_t kMostShrinking = 4;  // of a text by normalisation, and to spare

absl::Status CheckTextBytes(std::string_view field, size_t bytes, uint32_t max_tokens,
                            size_t max_token_bytes) {
  const size_t limit = kMostShrinking * max_token_bytes * max_tokens;
  if (max_tokens == 0 || bytes <= limit) return absl::OkStatus();
  return WithApiCode(
      absl::InvalidArgumentError(absl::StrCat(
          View(field), ": this model's maximum context length is ", max_tokens,
          " tokens; a text of ", bytes, " bytes has more (at most ", limit, " bytes are read)")),
      "context_length_exceeded");
}

}  // namespace

absl::StatusOr<std::vector<uint32_t>> TextTokens(const OpenAiContext& context,
                                                 std::string_view field, std::string_view text,
                                                 bool add_special_tokens, uint32_t max_tokens) {
  if (context.tokenizer == nullptr) {
    return absl::InvalidArgumentError(absl::StrCat(
        View(field), ": the model ", context.model_names.front(), " has no tokenizer.json"));
  }
  RETURN_IF_ERROR(
      CheckTextBytes(field, text.size(), max_tokens, context.tokenizer->max_token_bytes()));
  const std::vector<int32_t> ids = context.tokenizer->Encode(text, add_special_tokens);
  return std::vector<uint32_t>(ids.begin(), ids.end());
}

absl::StatusOr<std::vector<uint32_t>> GivenTokens(const OpenAiContext& context,
                                                  std::string_view field,
                                                  const OrderedJson& array) {
  const auto vocab_size = static_cast<uint64_t>(context.model.vocab_size);
  std::vector<uint32_t> tokens;
  tokens.reserve(array.size());
  for (const OrderedJson& id : array) {
    if (!id.is_number_unsigned() || id.get<uint64_t>() >= vocab_size) {
      return absl::InvalidArgumentError(
          absl::StrCat(View(field), "[", tokens.size(), "]: is ", ShownValue(id),
                       "; expected a token id of 0 to ", vocab_size - 1));
    }
    tokens.push_back(id.get<uint32_t>());
  }
  return tokens;
}

std::string TextOf(const Tokenizer& tokenizer, absl::Span<const uint32_t> tokens,
                   bool skip_special_tokens) {
  const std::vector<int32_t> ids(tokens.begin(), tokens.end());
  return tokenizer.Decode(ids, skip_special_tokens);
}

std::vector<uint64_t> OffsetsOf(const Tokenizer& tokenizer, absl::Span<const uint32_t> tokens,
                                bool skip_special_tokens) {
  TokenOffsets places(tokenizer, skip_special_tokens);
  std::vector<uint64_t> offsets;
  for (const uint32_t token : tokens) places.Append(static_cast<int32_t>(token), offsets);
  places.Finish(offsets);
  return offsets;
}

void AddChoices(const SharedFields& shared, absl::Span<const uint32_t> prompt,
                std::string_view http_id, std::vector<GenerateRequest>& choices) {
  const std::string_view id = http_id.substr(0, kMaxRequestIdBytes - kIdSuffixBytes);
  for (uint32_t i = 0; i < shared.n; ++i) {
    GenerateRequest& request = choices.emplace_back(shared.request);
    request.set_request_id(choices.size() == 1 ? std::string(id)
                                               : absl::StrCat(View(id), "-", choices.size() - 1));
    request.mutable_token_ids()->mutable_ids()->Assign(prompt.begin(), prompt.end());
    request.mutable_sampling()->set_seed(SeedOfChoice(shared.seed, i));
  }
}

absl::Status CheckMinTokens(const GenerateRequest& request) {
  const uint32_t min_tokens = request.sampling().min_tokens();
  if (request.max_tokens() == 0 || min_tokens <= request.max_tokens()) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("min_tokens: is ", min_tokens, "; max_tokens is ", request.max_tokens()));
}

}  // namespace regatta
