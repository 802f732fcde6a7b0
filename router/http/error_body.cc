// See error_body.h.
#include "router/http/error_body.h"

#include <nlohmann/json.hpp>

namespace regatta {

std::string ErrorBody(std::string_view message, std::string_view type, std::string_view param,
                      std::string_view code) {
  using Json = nlohmann::ordered_json;
  const auto or_null = [](std::string_view text) { return text.empty() ? Json() : Json(text); };
  const Json error = {
      {"message", message}, {"type", type}, {"param", or_null(param)}, {"code", or_null(code)}};
  return Json{{"error", error}}.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace regatta
