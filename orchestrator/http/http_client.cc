// Redirects, proxies and bodies over HttpConnection; see http_client.h.
#include "orchestrator/http/http_client.h"

#include <stdlib.h>

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "common/status_macros.h"
#include "common/version.h"
#include "orchestrator/http/http_connection.h"

namespace regatta {
namespace {

namespace http = boost::beast::http;

constexpr int kMaxRedirects = 10;
constexpr size_t kPieceBytes = 256 << 10;

std::string Variable(const char* name) {
  const char* value = ::getenv(name);
  if (value == nullptr || *value == '\0') value = ::getenv(absl::AsciiStrToLower(name).c_str());
  return value == nullptr ? "" : value;
}

// Whether NO_PROXY, a list of hosts, domains and *, covers `host`.
bool IsExcepted(const std::string& host, const std::string& list) {
  for (absl::string_view entry : absl::StrSplit(list, ',', absl::SkipWhitespace())) {
    entry = absl::StripAsciiWhitespace(entry);
    if (entry == "*") return true;
    const std::string domain = absl::AsciiStrToLower(absl::StripPrefix(entry, "."));
    if (host == domain || absl::EndsWith(host, "." + domain)) return true;
  }
  return false;
}

HttpConnection::Request RequestOf(const HttpCall& call, const HttpUrl& url) {
  HttpConnection::Request request;
  request.version(11);
  request.method_string(call.method);
  request.target(url.target);
  request.set(http::field::host, url.Authority());
  request.set(http::field::user_agent, absl::StrCat("regatta/", kVersion));
  request.set(http::field::accept_encoding, "identity");
  request.set(http::field::connection, "close");
  for (const auto& [name, value] : call.headers) request.set(name, value);
  if (!call.bearer_token.empty() && url.SameOrigin(call.url)) {
    request.set(http::field::authorization, absl::StrCat("Bearer ", call.bearer_token));
  }
  request.body() = call.body;
  if (!call.body.empty()) request.prepare_payload();
  return request;
}

bool IsRedirect(unsigned status) {
  return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

absl::Status ReadWholeBody(const HttpCall& call, HttpConnection& connection,
                           HttpConnection::Parser& parser, HttpAnswer& answer) {
  const bool hand_on = call.on_body && answer.status / 100 == 2;
  std::string piece(kPieceBytes, '\0');
  while (!parser.is_done()) {
    size_t count = 0;
    const absl::Status read =
        connection.ReadBody(parser, piece.data(), piece.size(), count, call.idle_timeout);
    // What came before a connection was lost counts too.
    const absl::string_view bytes(piece.data(), count);
    if (hand_on && !bytes.empty()) RETURN_IF_ERROR(call.on_body(bytes));
    RETURN_IF_ERROR(read);
    if (hand_on) continue;
    absl::StrAppend(&answer.body, bytes);
    if (answer.body.size() > call.max_body) {
      return absl::ResourceExhaustedError(absl::StrCat(
          answer.url.Authority(), ": the answer has more than ", call.max_body, " bytes"));
    }
  }
  return absl::OkStatus();
}

// Where a redirect leads that is to be followed; nullopt when `answer` is final.
absl::StatusOr<std::optional<HttpUrl>> NextUrl(const HttpCall& call, const HttpAnswer& answer) {
  const std::string location = answer.Header("location");
  if (!IsRedirect(answer.status) || location.empty() || call.redirects == Redirects::kNone) {
    return std::nullopt;
  }
  ASSIGN_OR_RETURN(HttpUrl next, ResolveLocation(answer.url, location));
  if (call.redirects == Redirects::kSameOrigin && !next.SameOrigin(answer.url)) {
    return std::nullopt;
  }
  if (answer.url.scheme == "https" && next.scheme == "http") {
    return absl::InvalidArgumentError(absl::StrCat(
        answer.url.Authority(), " redirects from https to http://", next.Authority(), "; refused"));
  }
  return next;
}

// One exchange with `url`; the next URL, or nullopt once `answer` is final and read.
absl::StatusOr<std::optional<HttpUrl>> Exchange(const HttpCall& call, const HttpUrl& url,
                                                HttpAnswer& answer) {
  std::optional<HttpUrl> proxy;
  if (call.pinned_certificate.empty()) {
    ASSIGN_OR_RETURN(proxy, ProxyFor(url));
  }
  HttpConnection connection(call.stop, call.pinned_certificate, call.deadline);
  RETURN_IF_ERROR(connection.Open(url, proxy, call.connect_timeout));
  RETURN_IF_ERROR(connection.Write(RequestOf(call, url), call.idle_timeout));
  std::optional<HttpConnection::Parser> parser;
  RETURN_IF_ERROR(connection.ReadHeader(parser, call.method == "HEAD", call.idle_timeout));
  answer = HttpAnswer{url, parser->get().result_int(), {}, ""};
  for (const auto& field : parser->get()) {
    answer.headers.emplace_back(absl::AsciiStrToLower(std::string(field.name_string())),
                                std::string(field.value()));
  }
  ASSIGN_OR_RETURN(std::optional<HttpUrl> next, NextUrl(call, answer));
  if (next.has_value()) return next;
  if (call.on_answer) RETURN_IF_ERROR(call.on_answer(answer));
  RETURN_IF_ERROR(ReadWholeBody(call, connection, *parser, answer));
  return std::nullopt;
}

}  // namespace

std::string HttpAnswer::Header(absl::string_view name) const {
  for (const auto& [key, value] : headers) {
    if (key == name) return value;
  }
  return "";
}

absl::StatusOr<HttpAnswer> PerformHttp(const HttpCall& call) {
  HttpAnswer answer;
  std::optional<HttpUrl> url = call.url;
  for (int i = 0; i <= kMaxRedirects; ++i) {
    ASSIGN_OR_RETURN(url, Exchange(call, *url, answer));
    if (!url.has_value()) return answer;
  }
  return absl::InvalidArgumentError(
      absl::StrCat(call.url.Authority(), ": more than ", kMaxRedirects, " redirects"));
}

bool IsUnknownHost(const absl::Status& status) {
  return status.GetPayload(kUnknownHostPayload).has_value();
}

absl::StatusOr<std::optional<HttpUrl>> ProxyFor(const HttpUrl& url) {
  std::string proxy = Variable("HTTPS_PROXY");
  if (url.scheme != "https" || proxy.empty() || IsExcepted(url.host, Variable("NO_PROXY"))) {
    return std::nullopt;
  }
  if (!absl::StrContains(proxy, "://")) proxy = absl::StrCat("http://", proxy);
  absl::StatusOr<HttpUrl> parsed = ParseHttpUrl(proxy);
  if (!parsed.ok()) {
    return absl::InvalidArgumentError(absl::StrCat("HTTPS_PROXY: ", parsed.status().message()));
  }
  if (parsed->scheme != "http") {
    return absl::InvalidArgumentError("HTTPS_PROXY: only proxies spoken to over http:// are known");
  }
  return std::optional<HttpUrl>(*parsed);
}

}  // namespace regatta
