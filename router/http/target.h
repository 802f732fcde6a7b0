// The request target of HTTP (RFC 9112, 3.2): what a path is, once and for all of routing and keys.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace regatta {

struct Target {
  std::string path;   // percent-decoded once; begins with '/', or is "*"
  std::string query;  // as sent, without '?'
};

// Takes origin form, absolute form (whose authority is ignored) and "*". INVALID_ARGUMENT: other
// forms, bad percent-encoding, control characters, fragments, and "." or ".." as a segment, encoded
// or not, because a gateway in front may have understood them otherwise.
absl::StatusOr<Target> ParseTarget(absl::string_view target);

}  // namespace regatta
