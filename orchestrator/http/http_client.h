// A small HTTP/1.1 client: blocking calls with deadlines, bodies handed on as they arrive,
// certificates always verified. One connection per call; thread-safe, as there is no shared state.
#pragma once

#include <atomic>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "orchestrator/http/http_url.h"

namespace regatta {

using HttpFields = std::vector<std::pair<std::string, std::string>>;

struct HttpAnswer {
  HttpUrl url;  // that gave it, after redirects
  unsigned status = 0;
  HttpFields headers;  // names in lower case
  std::string body;    // unless it was handed on

  // The value of the first header of that (lower-case) name; empty when there is none.
  std::string Header(absl::string_view name) const;
};

enum class Redirects {
  kNone,        // 3xx is the answer
  kSameOrigin,  // the first one that leads elsewhere is the answer
  kFollow,      // never from https to http
};

struct HttpCall {
  HttpUrl url;
  std::string method = "GET";
  HttpFields headers;
  std::string bearer_token;  // never sent to another origin than `url`'s
  // PEM file of the server, when it is one of our own: reached without a proxy, trusted by that
  // file alone, whatever name it goes by.
  std::string pinned_certificate;
  std::string body;
  Redirects redirects = Redirects::kFollow;

  absl::Duration connect_timeout = absl::Seconds(15);  // name, connection and TLS, each
  absl::Duration idle_timeout = absl::Seconds(30);     // without a byte
  absl::Time deadline = absl::InfiniteFuture();        // of all of it
  const std::atomic<bool>* stop = nullptr;             // ends the call with CANCELLED

  // Sees the final answer before its body; an error ends the call with it.
  std::function<absl::Status(const HttpAnswer&)> on_answer;
  // Gets the body of a 2xx answer piece by piece; an error ends the call with it. Without it, and
  // for other answers, the body is collected: RESOURCE_EXHAUSTED beyond `max_body` bytes.
  std::function<absl::Status(absl::string_view)> on_body;
  size_t max_body = 16 << 20;
};

// Performs the call. Any HTTP status is an answer, not an error. Errors: UNAVAILABLE (no
// connection, or lost: worth a retry), DEADLINE_EXCEEDED (a timeout: likewise), FAILED_PRECONDITION
// (certificate not trusted, a port of gRPC), INVALID_ARGUMENT (a redirect that leads nowhere),
// CANCELLED. HTTPS_PROXY and NO_PROXY are honoured for https (a CONNECT tunnel), SSL_CERT_FILE and
// SSL_CERT_DIR as OpenSSL does.
absl::StatusOr<HttpAnswer> PerformHttp(const HttpCall& call);

// Whether a call failed since names are answered for, and there is no host of the URL's:
// UNAVAILABLE like other trouble on the way, but not worth a retry.
bool IsUnknownHost(const absl::Status& status);

// The proxy for `url` by HTTPS_PROXY and NO_PROXY (upper or lower case); nullopt = none. An error
// names a proxy URL that cannot be used.
absl::StatusOr<std::optional<HttpUrl>> ProxyFor(const HttpUrl& url);

}  // namespace regatta
