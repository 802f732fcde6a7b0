// URLs of HTTP servers, as far as a client needs them (RFC 3986).
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace regatta {

struct HttpUrl {
  std::string scheme;  // "http" or "https"
  std::string host;    // lower case, IPv6 without brackets
  uint16_t port = 0;
  std::string target;  // path and query, begins with '/'

  // What the Host header says: the port only where it is not the scheme's.
  std::string Authority() const;
  std::string ToString() const;
  bool SameOrigin(const HttpUrl& other) const;
};

// INVALID_ARGUMENT names the URL and what is wrong with it; user names and passwords are refused.
absl::StatusOr<HttpUrl> ParseHttpUrl(absl::string_view url);

// Where `location`, absolute or relative, leads from `base`.
absl::StatusOr<HttpUrl> ResolveLocation(const HttpUrl& base, absl::string_view location);

// A host as URLs and host:port have it: IPv6 in brackets, whether `host` has them or not.
std::string BracketedHost(absl::string_view host);

// Everything but unreserved characters and those in `keep`, as %XX.
std::string PercentEncode(absl::string_view text, absl::string_view keep = "");

}  // namespace regatta
