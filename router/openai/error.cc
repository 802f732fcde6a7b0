// From absl::Status to HTTP status, error object and headers.
#include "router/openai/error.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/cord.h"
#include "absl/strings/str_cat.h"
#include "common/string_views.h"
#include "router/http/error_body.h"
#include "router/openai/context.h"

namespace regatta {
namespace {

constexpr std::string_view kCodePayload = "regatta.dev/api-code";
constexpr std::string_view kGroup = "sampling.";
constexpr double kMaxRetryAfterSeconds = 600;

struct Kind {
  unsigned http;
  std::string_view type;
  std::string_view code;     // empty = null
  std::string_view message;  // in place of the status' own; empty = its own
};

Kind KindOf(absl::StatusCode code) {
  switch (code) {
    case absl::StatusCode::kInvalidArgument:
    case absl::StatusCode::kOutOfRange:
    case absl::StatusCode::kFailedPrecondition:
      return {400, "invalid_request_error", "", ""};
    case absl::StatusCode::kUnauthenticated:
      return {401, "authentication_error", "invalid_api_key", ""};
    case absl::StatusCode::kPermissionDenied:
      return {403, "permission_error", "", ""};
    case absl::StatusCode::kNotFound:
      return {404, "invalid_request_error", "not_found", ""};
    case absl::StatusCode::kResourceExhausted:
      return {429, "rate_limit_error", "rate_limit_exceeded", ""};
    case absl::StatusCode::kUnimplemented:
      return {501, "server_error", "not_supported", "this server does not support the request"};
    case absl::StatusCode::kUnavailable:
    case absl::StatusCode::kAborted:
    case absl::StatusCode::kCancelled:
      return {503, "server_error", "service_unavailable", "the model cannot serve now; try again"};
    case absl::StatusCode::kDeadlineExceeded:
      return {503, "server_error", "deadline_exceeded",
              "the request waited too long to start; try again"};
    default:
      return {500, "server_error", "internal_error", "the server failed; the request id names it"};
  }
}

// Where a path of fields that `message` begins with ends: names, indices, and quoted names.
size_t EndOfPath(std::string_view message) {
  bool quoted = false;
  for (size_t i = 0; i < message.size(); ++i) {
    const char c = message[i];
    if (quoted && c == '\\') {
      ++i;
    } else if (c == '"' && (quoted || (i > 0 && message[i - 1] == '['))) {
      quoted = !quoted;
    } else if (!quoted && !absl::ascii_isalnum(c) && std::string_view("_-.[]$").find(c) > 5) {
      return i;
    }
  }
  return message.size();
}

// "field" of "field: what"; empty when the message does not begin so.
std::string_view ParamOf(std::string_view message) {
  const size_t colon = EndOfPath(message);
  if (colon == 0 || message.substr(colon, 2) != ": ") return {};
  return message.substr(0, colon);
}

std::string_view DroppedReason(absl::StatusCode code) {
  if (code == absl::StatusCode::kResourceExhausted) return "rejected-saturated";
  if (code == absl::StatusCode::kDeadlineExceeded) return "rejected-ttl-expired";
  return {};
}

void LogFailure(const HttpRequest& request, const absl::Status& status,
                const OpenAiContext& context) {
  if (HttpStatusOf(status) != 500 || !context.log) return;
  context.log(absl::StrCat(request.path, " failed, x-request-id ", request.id, ": ",
                           status.ToString(absl::StatusToStringMode::kWithNoExtraData)));
}

}  // namespace

absl::Status WithApiCode(absl::Status status, std::string_view code) {
  status.SetPayload(View(kCodePayload), absl::Cord(View(code)));
  return status;
}

unsigned HttpStatusOf(const absl::Status& status) { return KindOf(status.code()).http; }

std::string ErrorJson(const absl::Status& status) {
  const Kind kind = KindOf(status.code());
  const auto payload = status.GetPayload(View(kCodePayload));
  const std::string code = payload ? std::string(*payload) : std::string(kind.code);
  std::string_view message = kind.message.empty() ? StdView(status.message()) : kind.message;
  // Our own API groups fields; this one is flat.
  if (message.starts_with(kGroup)) message.remove_prefix(kGroup.size());
  return ErrorBody(message, kind.type,
                   kind.http == 400 || kind.http == 404 ? ParamOf(message) : std::string_view(),
                   code);
}

HttpHeaders JsonHeaders() { return {{"content-type", "application/json"}}; }

void ReplyError(Exchange& exchange, const absl::Status& status, const OpenAiContext& context) {
  LogFailure(exchange.request(), status, context);
  const unsigned http = HttpStatusOf(status);
  HttpHeaders headers = JsonHeaders();
  if (http == 429 || http == 503) {
    const double seconds = context.retry_after_s ? context.retry_after_s() : 1;
    const double whole = std::isnan(seconds) ? 1 : std::ceil(seconds);
    headers.emplace_back(
        "retry-after",
        absl::StrCat(static_cast<int>(std::clamp(whole, 1.0, kMaxRetryAfterSeconds))));
  }
  if (const std::string_view reason = DroppedReason(status.code()); !reason.empty()) {
    headers.emplace_back("x-llm-d-request-dropped-reason", reason);
  }
  exchange.Reply(http, std::move(headers), ErrorJson(status));
}

void BreakEvents(Exchange& exchange, std::string pending, const absl::Status& status,
                 const OpenAiContext& context) {
  LogFailure(exchange.request(), status, context);
  absl::StrAppend(&pending, "data: ", ErrorJson(status), "\n\n");
  exchange.SendEvents(pending);
  exchange.EndEvents();
}

}  // namespace regatta
