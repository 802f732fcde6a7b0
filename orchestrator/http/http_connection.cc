// Asio's operations, one after another; see http_connection.h.
#include "orchestrator/http/http_connection.h"

#include <openssl/err.h>
#include <openssl/ssl.h>

#include <boost/asio/connect.hpp>
#include <chrono>
#include <limits>
#include <utility>

#include "absl/strings/cord.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/status_macros.h"
#include "orchestrator/http/interim_answers.h"
#include "orchestrator/http/tls_trust.h"

namespace regatta {
namespace {

namespace asio = boost::asio;
namespace http = boost::beast::http;

constexpr auto kLookEvery = std::chrono::milliseconds(50);  // at `stop`
constexpr uint32_t kMaxHeaderBytes = 64 << 10;

// To the second, below one to the millisecond.
std::string RoundedText(absl::Duration wait) {
  const absl::Duration unit = wait < absl::Seconds(1) ? absl::Milliseconds(1) : absl::Seconds(1);
  return absl::FormatDuration(absl::Trunc(wait + unit / 2, unit));
}

// A server's part of the connection preface: a SETTINGS frame of stream 0 (RFC 9113, 3.4 and 4.1).
bool BeginsHttp2(absl::string_view bytes) {
  constexpr size_t kFrameHeader = 9;
  constexpr char kSettings = 4;
  if (bytes.size() < kFrameHeader) return false;
  return bytes[3] == kSettings && bytes.substr(5, 4) == absl::string_view("\0\0\0\0", 4);
}

}  // namespace

template <typename Start, typename Cancel>
absl::Status HttpConnection::Await(absl::string_view what, absl::Duration timeout, Start start,
                                   Cancel cancel, Error* error) {
  // Looked at before each operation too: some end at once, again and again.
  if (stop_ != nullptr && stop_->load()) return absl::CancelledError("interrupted");
  const absl::Time now = absl::Now();
  if (now > deadline_) {
    return absl::DeadlineExceededError(absl::StrCat(host_, ": ", what, ": takes too long"));
  }
  const absl::Duration wait = std::min(timeout, deadline_ - now);
  std::optional<Error> ended;
  bool stopped = false, late = false;
  start([&ended](Error code, auto&&...) { ended = code; });
  while (!ended.has_value()) {
    io_.restart();
    io_.run_one_for(kLookEvery);
    if (ended.has_value() || stopped || late) continue;
    stopped = stop_ != nullptr && stop_->load();
    late = absl::Now() > now + wait;
    if (stopped || late) cancel();
  }
  if (stopped) return absl::CancelledError("interrupted");
  if (late) {
    return absl::DeadlineExceededError(
        absl::StrCat(host_, ": ", what, ": nothing within ", RoundedText(wait)));
  }
  if (error != nullptr) {
    *error = *ended;
    return absl::OkStatus();
  }
  if (!*ended) return absl::OkStatus();
  return absl::UnavailableError(absl::StrCat(host_, ": ", what, ": ", ended->message()));
}

template <typename Start>
absl::Status HttpConnection::AwaitStream(absl::string_view what, absl::Duration timeout,
                                         Start start, Error* error) {
  const auto cancel = [this] {
    Error ignored;
    socket_.cancel(ignored);
  };
  if (tls_.has_value()) {
    return Await(
        what, timeout, [&](auto handler) { start(*tls_, std::move(handler)); }, cancel, error);
  }
  return Await(
      what, timeout, [&](auto handler) { start(socket_, std::move(handler)); }, cancel, error);
}

absl::Status HttpConnection::Open(const HttpUrl& url, const std::optional<HttpUrl>& proxy,
                                  absl::Duration timeout) {
  host_ = proxy.has_value() ? absl::StrCat("proxy ", proxy->Authority()) : url.Authority();
  RETURN_IF_ERROR(Dial(proxy.value_or(url), timeout));
  if (proxy.has_value()) RETURN_IF_ERROR(Tunnel(url, timeout));
  host_ = url.Authority();
  return url.scheme == "https" ? StartTls(url, timeout) : absl::OkStatus();
}

absl::Status HttpConnection::ExplainLookup(const Error& error) const {
  if (!error) return absl::OkStatus();
  if (error != asio::error::host_not_found) {
    return absl::UnavailableError(
        absl::StrCat(host_, ": looking up its address: ", error.message()));
  }
  absl::Status status = absl::UnavailableError(
      absl::StrCat(host_, ": there is no host of that name, or this one has no DNS"));
  status.SetPayload(kUnknownHostPayload, absl::Cord());
  return status;
}

absl::Status HttpConnection::Dial(const HttpUrl& url, absl::Duration timeout) {
  asio::ip::tcp::resolver resolver(io_);
  asio::ip::tcp::resolver::results_type found;
  Error unknown;
  RETURN_IF_ERROR(Await(
      "looking up its address", timeout,
      [&](auto handler) {
        resolver.async_resolve(url.host, std::to_string(url.port),
                               [&found, handler = std::move(handler)](Error code, auto results) {
                                 found = std::move(results);
                                 handler(code);
                               });
      },
      [&] { resolver.cancel(); }, &unknown));
  RETURN_IF_ERROR(ExplainLookup(unknown));
  return Await(
      "connecting", timeout,
      [&](auto handler) { asio::async_connect(socket_, found, std::move(handler)); },
      [this] {
        Error ignored;
        socket_.close(ignored);
      });
}

// Asks a proxy for a tunnel (RFC 9110, 9.3.6).
absl::Status HttpConnection::Tunnel(const HttpUrl& url, absl::Duration timeout) {
  const std::string authority = absl::StrCat(BracketedHost(url.host), ":", url.port);
  Request request(http::verb::connect, authority, 11);
  request.set(http::field::host, authority);
  RETURN_IF_ERROR(Write(request, timeout));
  std::optional<Parser> parser;
  RETURN_IF_ERROR(ReadHeader(parser, /*skip_body=*/true, timeout));
  buffer_.clear();
  if (parser->get().result_int() == 200) return absl::OkStatus();
  return absl::UnavailableError(
      absl::StrCat(host_, ": it answers CONNECT with status ", parser->get().result_int()));
}

absl::Status HttpConnection::StartTls(const HttpUrl& url, absl::Duration timeout) {
  tls_context_.emplace(asio::ssl::context::tls_client);
  RETURN_IF_ERROR(SetTrust(*tls_context_, pinned_certificate_));
  tls_.emplace(socket_, *tls_context_);
  SSL* const ssl = tls_->native_handle();
  ExpectHost(ssl, url.host, !pinned_certificate_.empty());
  Error ended;
  RETURN_IF_ERROR(AwaitStream(
      "agreeing on TLS", timeout,
      [](auto& stream, auto handler) {
        if constexpr (!std::is_same_v<std::decay_t<decltype(stream)>, asio::ip::tcp::socket>) {
          stream.async_handshake(asio::ssl::stream_base::client, std::move(handler));
        }
      },
      &ended));
  if (!ended) return absl::OkStatus();
  const long verdict = SSL_get_verify_result(ssl);
  if (verdict != X509_V_OK) {
    return absl::FailedPreconditionError(absl::StrCat(
        host_, ": its certificate is not trusted: ", X509_verify_cert_error_string(verdict),
        " (SSL_CERT_FILE names a file of further authorities)"));
  }
  return absl::UnavailableError(absl::StrCat(host_, ": agreeing on TLS: ", ended.message()));
}

absl::Status HttpConnection::Write(const Request& request, absl::Duration timeout) {
  return AwaitStream("sending a request", timeout, [&](auto& stream, auto handler) {
    http::async_write(stream, request, std::move(handler));
  });
}

absl::Status HttpConnection::ExplainAnswer(const Error& error) const {
  if (!error) return absl::OkStatus();
  const auto unread = buffer_.data();
  const absl::string_view bytes(static_cast<const char*>(unread.data()), unread.size());
  if (BeginsHttp2(bytes)) {
    return absl::FailedPreconditionError(
        absl::StrCat(host_,
                     ": it speaks HTTP/2, as ports of gRPC do, not HTTP/1.1; a router's is "
                     "given as grpc://",
                     host_));
  }
  return absl::UnavailableError(absl::StrCat(host_, ": awaiting an answer: ", error.message()));
}

absl::Status HttpConnection::ReadHeader(std::optional<Parser>& parser, bool skip_body,
                                        absl::Duration timeout) {
  for (int interim = 0; interim <= kMaxInterimAnswers; ++interim) {
    parser.emplace();
    parser->skip(skip_body);
    parser->header_limit(kMaxHeaderBytes);
    parser->body_limit(std::numeric_limits<uint64_t>::max());  // whoever takes the bytes counts
    Error error;
    RETURN_IF_ERROR(AwaitStream(
        "awaiting an answer", timeout,
        [&](auto& stream, auto handler) {
          http::async_read_header(stream, buffer_, *parser, std::move(handler));
        },
        &error));
    RETURN_IF_ERROR(ExplainAnswer(error));
    if (!IsInterim(parser->get().result_int())) return absl::OkStatus();
  }
  return absl::UnavailableError(
      absl::StrCat(host_, ": more than ", kMaxInterimAnswers, " interim answers (1xx)"));
}

absl::Status HttpConnection::ReadBody(Parser& parser, char* data, size_t size, size_t& count,
                                      absl::Duration timeout) {
  auto& body = parser.get().body();
  body.data = data;
  body.size = size;
  Error error;
  RETURN_IF_ERROR(AwaitStream(
      "reading an answer", timeout,
      [&](auto& stream, auto handler) {
        http::async_read_some(stream, buffer_, parser, std::move(handler));
      },
      &error));
  count = size - body.size;
  if (!error || error == http::error::need_buffer) return absl::OkStatus();
  if (error == http::error::partial_message) {
    return absl::UnavailableError(
        absl::StrCat(host_, ": it closed the connection within an answer"));
  }
  return absl::UnavailableError(absl::StrCat(host_, ": reading an answer: ", error.message()));
}

}  // namespace regatta
