// Look-ups in requests; see exchange.h.
#include "router/http/exchange.h"

namespace regatta {

std::string_view HttpRequest::Header(std::string_view name) const {
  for (const auto& [key, value] : headers) {
    if (key == name) return value;
  }
  return {};
}

}  // namespace regatta
