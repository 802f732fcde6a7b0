// Parsing and joining; see http_url.h.
#include "orchestrator/http/http_url.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/strip.h"
#include "common/status_macros.h"

namespace regatta {
namespace {

absl::Status BadUrl(absl::string_view url, absl::string_view why) {
  return absl::InvalidArgumentError(absl::StrCat("URL '", url.substr(0, 200), "': ", why));
}

uint16_t PortOf(absl::string_view scheme) { return scheme == "https" ? 443 : 80; }

bool IsPrintable(absl::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return absl::ascii_isgraph(c); });
}

// host, host:port, [v6] or [v6]:port.
absl::Status ParseAuthority(absl::string_view url, absl::string_view authority, HttpUrl& parsed) {
  if (absl::StrContains(authority, '@')) return BadUrl(url, "has a user name");
  size_t end = authority.find(':');
  if (absl::StartsWith(authority, "[")) {
    end = authority.find(']');
    if (end == authority.npos) return BadUrl(url, "has no ]");
    parsed.host = std::string(authority.substr(1, end - 1));
    ++end;
  } else {
    parsed.host = absl::AsciiStrToLower(authority.substr(0, end));
  }
  if (parsed.host.empty()) return BadUrl(url, "has no host");
  parsed.port = PortOf(parsed.scheme);
  if (end >= authority.size()) return absl::OkStatus();
  uint32_t port = 0;
  if (authority[end] != ':' || !absl::SimpleAtoi(authority.substr(end + 1), &port) || port == 0 ||
      port > 65535) {
    return BadUrl(url, "its port is not 1 to 65535");
  }
  parsed.port = static_cast<uint16_t>(port);
  return absl::OkStatus();
}

}  // namespace

std::string HttpUrl::Authority() const {
  const std::string name = BracketedHost(host);
  return port == PortOf(scheme) ? name : absl::StrCat(name, ":", port);
}

std::string HttpUrl::ToString() const { return absl::StrCat(scheme, "://", Authority(), target); }

bool HttpUrl::SameOrigin(const HttpUrl& other) const {
  return scheme == other.scheme && host == other.host && port == other.port;
}

absl::StatusOr<HttpUrl> ParseHttpUrl(absl::string_view url) {
  if (!IsPrintable(url)) return BadUrl("", "has spaces or characters that are not ASCII");
  HttpUrl parsed;
  const size_t colon = url.find("://");
  parsed.scheme = absl::AsciiStrToLower(url.substr(0, colon == url.npos ? 0 : colon));
  if (parsed.scheme != "http" && parsed.scheme != "https") {
    return BadUrl(url, "expected http:// or https://");
  }
  absl::string_view rest = url.substr(colon + 3);
  rest = rest.substr(0, rest.find('#'));
  const size_t slash = std::min(rest.find_first_of("/?"), rest.size());
  RETURN_IF_ERROR(ParseAuthority(url, rest.substr(0, slash), parsed));
  const absl::string_view target = rest.substr(slash);
  parsed.target = absl::StrCat(absl::StartsWith(target, "/") ? "" : "/", target);
  return parsed;
}

absl::StatusOr<HttpUrl> ResolveLocation(const HttpUrl& base, absl::string_view location) {
  if (absl::StartsWith(location, "//")) {
    return ParseHttpUrl(absl::StrCat(base.scheme, ":", location));
  }
  const size_t colon = location.find(':');
  if (colon < location.find_first_of("/?#")) return ParseHttpUrl(location);
  if (absl::StartsWith(location, "/")) {
    return ParseHttpUrl(absl::StrCat(base.scheme, "://", base.Authority(), location));
  }
  const std::string path = base.target.substr(0, base.target.find('?'));
  const std::string folder = path.substr(0, path.rfind('/') + 1);
  return ParseHttpUrl(absl::StrCat(base.scheme, "://", base.Authority(), folder, location));
}

std::string BracketedHost(absl::string_view host) {
  const bool bare_ipv6 = absl::StrContains(host, ':') && !absl::StartsWith(host, "[");
  return bare_ipv6 ? absl::StrCat("[", host, "]") : std::string(host);
}

std::string PercentEncode(absl::string_view text, absl::string_view keep) {
  std::string encoded;
  for (const char c : text) {
    if (absl::ascii_isalnum(c) || absl::StrContains("-._~", c) || absl::StrContains(keep, c)) {
      encoded += c;
    } else {
      absl::StrAppendFormat(&encoded, "%%%02X", static_cast<unsigned char>(c));
    }
  }
  return encoded;
}

}  // namespace regatta
