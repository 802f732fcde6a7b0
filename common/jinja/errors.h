// Messages of a template's errors, from parts of any string type.
#pragma once

#include <string>
#include <string_view>

#include "absl/status/status.h"

namespace regatta::jinja {

template <typename... Parts>
std::string Concat(const Parts&... parts) {
  std::string text;
  (text.append(std::string_view(parts)), ...);
  return text;
}

// The template or its data is wrong. Whoever evaluates the expression adds line and column.
template <typename... Parts>
absl::Status Error(const Parts&... parts) {
  return absl::InvalidArgumentError(Concat(parts...));
}

}  // namespace regatta::jinja
