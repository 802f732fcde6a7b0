// Keys, routes, CORS and Expect; see request_check.h.
#include "router/http/request_check.h"

#include <algorithm>
#include <memory>
#include <string>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/string_views.h"
#include "router/http/target.h"

namespace regatta {
namespace {

constexpr size_t kMaxRequestIdBytes = 128;

absl::string_view Header(const HttpRequest& request, absl::string_view name) {
  return View(request.Header({name.data(), name.size()}));
}

bool IsRequestId(absl::string_view id) {
  return !id.empty() && id.size() <= kMaxRequestIdBytes &&
         std::all_of(id.begin(), id.end(), [](char c) {
           return absl::ascii_isalnum(c) || absl::StrContains("-_.:/+=", c);
         });
}

HttpAnswer Unauthorized(bool given) {
  HttpAnswer answer =
      ErrorAnswer(401,
                  given ? "the API key is not known"
                        : "an API key is needed: send it as 'Authorization: Bearer KEY'",
                  "invalid_api_key");
  answer.headers.emplace_back("www-authenticate", "Bearer");
  return answer;
}

HttpAnswer NotFound(const Routes& routes, const HttpRequest& request) {
  const std::string nearest = routes.Nearest(request.path);
  return ErrorAnswer(404,
                     absl::StrCat("there is no ", request.path,
                                  nearest.empty() ? "" : absl::StrCat("; nearest is ", nearest)),
                     "unknown_url");
}

HttpAnswer MethodNotAllowed(const HttpRequest& request, const std::string& allow) {
  HttpAnswer answer = ErrorAnswer(
      405, absl::StrCat(request.path, " takes ", allow, ", not ", request.method), "bad_method");
  answer.headers.emplace_back("allow", allow);
  return answer;
}

HttpAnswer UnsupportedCoding(absl::string_view coding) {
  HttpAnswer answer = ErrorAnswer(415,
                                  absl::StrCat("content-encoding: '", coding.substr(0, 64),
                                               "' is not read; send bodies as they are"),
                                  "unsupported_content_encoding");
  answer.headers.emplace_back("accept-encoding", "identity");
  return answer;
}

bool IsPreflight(const HttpServerOptions& options, const HttpRequest& request) {
  return !options.cors_origin.empty() && request.method == "OPTIONS" &&
         !Header(request, "origin").empty() &&
         !Header(request, "access-control-request-method").empty();
}

// Says yes to every header that is asked for: which are used is the handlers' business.
HttpAnswer Preflight(const HttpRequest& request, const std::string& allow) {
  HttpAnswer answer{204, {{"access-control-allow-methods", absl::StrCat(allow, ", OPTIONS")}}, ""};
  const absl::string_view asked = Header(request, "access-control-request-headers");
  if (!asked.empty())
    answer.headers.emplace_back("access-control-allow-headers", std::string(asked));
  answer.headers.emplace_back("access-control-max-age", "600");
  return answer;
}

HttpAnswer Options(const std::string& allow) {
  return {204, {{"allow", absl::StrCat(allow, allow.empty() ? "" : ", ", "OPTIONS")}}, ""};
}

RequestVerdict Decide(ServerState& state, RequestParser& parser, const Routes::Match& match) {
  HttpRequest& request = parser.request();
  if (IsPreflight(state.options, request) && !match.allow.empty()) {
    return {nullptr, Preflight(request, match.allow)};
  }
  const std::shared_ptr<const ApiKeys> keys = state.keys.Get();
  if (keys != nullptr && match.access == Access::kKey) {
    const absl::string_view authorization = Header(request, "authorization");
    const std::string* const caller = keys->Find(authorization);
    if (caller == nullptr) return {nullptr, Unauthorized(!authorization.empty())};
    request.caller = *caller;
  }
  if (match.handler == nullptr) {
    const bool known = !match.allow.empty();
    if (request.method == "OPTIONS" && (known || request.path == "*")) {
      return {nullptr, Options(match.allow)};
    }
    if (!known) return {nullptr, NotFound(state.routes, request)};
    return {nullptr, MethodNotAllowed(request, match.allow)};
  }
  if (!Header(request, "expect").empty() && !parser.http10() && !parser.expects_continue()) {
    return {nullptr, ErrorAnswer(417, "the only expectation known is 100-continue")};
  }
  const absl::string_view coding = Header(request, "content-encoding");
  if (!coding.empty() && !absl::EqualsIgnoreCase(coding, "identity")) {
    return {nullptr, UnsupportedCoding(coding)};
  }
  return {match.handler, std::nullopt};
}

}  // namespace

RequestVerdict CheckRequest(ServerState& state, RequestParser& parser, std::string new_id) {
  HttpRequest& request = parser.request();
  const absl::string_view given_id = Header(request, "x-request-id");
  request.id = IsRequestId(given_id) ? std::string(given_id) : std::move(new_id);
  absl::StatusOr<Target> target = ParseTarget(parser.target());
  if (!target.ok()) {
    return {nullptr, ErrorAnswer(400, target.status().message(), "bad_target"),
            &state.routes.unknown()};
  }
  request.path = std::move(target->path);
  request.query = std::move(target->query);
  const Routes::Match match = state.routes.Find(request.method, request.path);
  RequestVerdict verdict = Decide(state, parser, match);
  verdict.counts = match.counts;
  return verdict;
}

std::string CorsLines(const std::string& allowed_origins, const HttpRequest& request) {
  if (allowed_origins.empty()) return "";
  if (allowed_origins == "*") {
    return "access-control-allow-origin: *\r\naccess-control-expose-headers: x-request-id\r\n";
  }
  const absl::string_view origin = Header(request, "origin");
  for (absl::string_view allowed : absl::StrSplit(allowed_origins, ',')) {
    if (origin.empty() || origin != absl::StripAsciiWhitespace(allowed)) continue;
    return absl::StrCat("access-control-allow-origin: ", origin,
                        "\r\naccess-control-expose-headers: x-request-id\r\nvary: origin\r\n");
  }
  return "vary: origin\r\n";
}

}  // namespace regatta
