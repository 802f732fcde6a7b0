// GET /v1/models and /v1/models/{id}.
#pragma once

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "router/openai/context.h"

namespace regatta {

// The list of served names.
std::string ModelListJson(const OpenAiContext& context);

// One of them; NOT_FOUND (model_not_found).
absl::StatusOr<std::string> ModelJson(const OpenAiContext& context, std::string_view id);

}  // namespace regatta
