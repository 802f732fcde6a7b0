// Identity, usage and ids as JSON.
#include "router/openai/answer_parts.h"

#include "absl/random/random.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/string_views.h"
#include "router/openai/json_text.h"

namespace regatta {

std::string RandomId(std::string_view prefix) {
  thread_local absl::BitGen random;
  const auto high = absl::Uniform<uint64_t>(random);
  const auto low = absl::Uniform<uint64_t>(random);
  return absl::StrCat(View(prefix), absl::Hex(high, absl::kZeroPad16),
                      absl::Hex(low, absl::kZeroPad16));
}

AnswerIdentity MakeIdentity(std::string_view prefix, const OpenAiContext& context) {
  return {.id = RandomId(prefix),
          .created_s = absl::ToUnixSeconds(absl::Now()),
          .model = context.model_names.front(),
          .fingerprint = context.fingerprint};
}

std::string IdentityJson(const AnswerIdentity& identity, std::string_view object) {
  std::string out = "{\"id\":";
  AppendJsonString(identity.id, out);
  out += ",\"object\":";
  AppendJsonString(object, out);
  absl::StrAppend(&out, ",\"created\":", identity.created_s, ",\"model\":");
  AppendJsonString(identity.model, out);
  out += ",\"system_fingerprint\":";
  AppendJsonString(identity.fingerprint, out);
  return out;
}

void AppendUsage(const AnswerUsage& usage, std::string& out) {
  absl::StrAppend(&out, "\"usage\":{\"prompt_tokens\":", usage.prompt_tokens,
                  ",\"completion_tokens\":", usage.output_tokens,
                  ",\"total_tokens\":", usage.prompt_tokens + usage.output_tokens,
                  ",\"prompt_tokens_details\":{\"cached_tokens\":", usage.cached_tokens, "}}");
}

void AppendIds(absl::Span<const uint32_t> ids, std::string& out) {
  out.push_back('[');
  for (size_t i = 0; i < ids.size(); ++i) {
    if (i > 0) out.push_back(',');
    AppendJsonNumber(ids[i], out);
  }
  out.push_back(']');
}

std::string_view FinishReasonName(FinishReason reason) {
  return reason == FINISH_REASON_STOP ? "stop" : "length";
}

}  // namespace regatta
