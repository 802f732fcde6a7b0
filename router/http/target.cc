// Request targets; see target.h.
#include "router/http/target.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_split.h"
#include "common/status_macros.h"

namespace regatta {
namespace {

// Value of a hexadecimal digit; -1 for other characters.
int HexValue(char c) {
  if (!absl::ascii_isxdigit(c)) return -1;
  return absl::ascii_isdigit(c) ? c - '0' : absl::ascii_tolower(c) - 'a' + 10;
}

absl::StatusOr<std::string> DecodePercent(absl::string_view text) {
  std::string decoded;
  decoded.reserve(text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    if (c == '%') {
      const int high = i + 1 < text.size() ? HexValue(text[i + 1]) : -1;
      const int low = i + 2 < text.size() ? HexValue(text[i + 2]) : -1;
      if (high < 0 || low < 0) {
        return absl::InvalidArgumentError("the path has a '%' without two hexadecimal digits");
      }
      c = static_cast<char>(high * 16 + low);
      i += 2;
    }
    if (absl::ascii_iscntrl(c)) {
      return absl::InvalidArgumentError("the path has a control character");
    }
    decoded.push_back(c);
  }
  return decoded;
}

// Removes scheme and authority of an absolute form; false, and nothing done, for other forms.
bool ConsumeAuthority(absl::string_view& target) {
  for (absl::string_view scheme : {"http://", "https://"}) {
    if (!absl::StartsWithIgnoreCase(target, scheme)) continue;
    target.remove_prefix(std::min(target.find_first_of("/?", scheme.size()), target.size()));
    return true;
  }
  return false;
}

bool HasDotSegment(absl::string_view path) {
  for (absl::string_view segment : absl::StrSplit(path, absl::ByAnyChar("/\\"))) {
    if (segment == "." || segment == "..") return true;
  }
  return false;
}

}  // namespace

absl::StatusOr<Target> ParseTarget(absl::string_view target) {
  if (target == "*") return Target{"*", ""};
  if (absl::StrContains(target, "#")) {
    return absl::InvalidArgumentError("the request target has a fragment");
  }
  const bool absolute = ConsumeAuthority(target);
  const size_t question = target.find('?');
  absl::string_view encoded = target.substr(0, question);
  if (absolute && encoded.empty()) encoded = "/";
  if (!absl::StartsWith(encoded, "/")) {
    return absl::InvalidArgumentError("the request target is not a path");
  }
  Target parsed;
  ASSIGN_OR_RETURN(parsed.path, DecodePercent(encoded));
  if (HasDotSegment(parsed.path)) {
    return absl::InvalidArgumentError("the path has a segment '.' or '..'");
  }
  if (question != absl::string_view::npos) parsed.query = std::string(target.substr(question + 1));
  return parsed;
}

}  // namespace regatta
