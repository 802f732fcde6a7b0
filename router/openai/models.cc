// Models as the API lists them, with vLLM's max_model_len.
#include "router/openai/models.h"

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "router/openai/json_text.h"
#include "router/openai/sampling_fields.h"

namespace regatta {
namespace {

void AppendModel(const OpenAiContext& context, std::string_view name, std::string& out) {
  out += "{\"id\":";
  AppendJsonString(name, out);
  absl::StrAppend(&out, ",\"object\":\"model\",\"created\":", context.created_s,
                  ",\"owned_by\":\"regatta\",\"root\":");
  AppendJsonString(context.model.name, out);
  out += ",\"parent\":null";
  // 0 = not known before the model is loaded.
  if (const auto longest = context.max_seq_len(); longest > 0) {
    absl::StrAppend(&out, ",\"max_model_len\":", longest);
  }
  out += "}";
}

}  // namespace

std::string ModelListJson(const OpenAiContext& context) {
  std::string out = "{\"object\":\"list\",\"data\":[";
  for (size_t i = 0; i < context.model_names.size(); ++i) {
    if (i > 0) out.push_back(',');
    AppendModel(context, context.model_names[i], out);
  }
  out += "]}";
  return out;
}

absl::StatusOr<std::string> ModelJson(const OpenAiContext& context, std::string_view id) {
  RETURN_IF_ERROR(CheckModel(std::string(id), context));
  std::string out;
  AppendModel(context, id, out);
  return out;
}

}  // namespace regatta
