// One connection to an HTTP server, plain or TLS: every operation blocks, with a deadline.
#pragma once

#include <atomic>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "orchestrator/http/http_url.h"

namespace regatta {

// Marks the status of Open when there is no host of that name.
inline constexpr char kUnknownHostPayload[] = "regatta/unknown-host";

class HttpConnection {
 public:
  using Parser = boost::beast::http::response_parser<boost::beast::http::buffer_body>;
  using Request = boost::beast::http::request<boost::beast::http::string_body>;

  // `stop` may be null and outlives this. `pinned_certificate` as in HttpCall. No operation goes on
  // after `deadline`.
  explicit HttpConnection(const std::atomic<bool>* stop, std::string pinned_certificate = "",
                          absl::Time deadline = absl::InfiniteFuture())
      : stop_(stop),
        pinned_certificate_(std::move(pinned_certificate)),
        deadline_(deadline),
        socket_(io_) {}

  // Connects to `url`'s host, through `proxy` if there is one, and agrees on TLS for https. Errors
  // as PerformHttp's.
  absl::Status Open(const HttpUrl& url, const std::optional<HttpUrl>& proxy,
                    absl::Duration timeout);

  absl::Status Write(const Request& request, absl::Duration timeout);
  // The header of the final answer, in a new `parser`; interim ones (100, 103, but not 101, which
  // ends HTTP) are passed over. `skip_body`: none follows, whatever the header says.
  absl::Status ReadHeader(std::optional<Parser>& parser, bool skip_body, absl::Duration timeout);
  // What has come of the body, at most `size` bytes into `data`; their number in `count`. The body
  // is complete when parser.is_done().
  absl::Status ReadBody(Parser& parser, char* data, size_t size, size_t& count,
                        absl::Duration timeout);

 private:
  using Error = boost::system::error_code;

  absl::Status Dial(const HttpUrl& url, absl::Duration timeout);
  absl::Status ExplainLookup(const Error& error) const;
  absl::Status ExplainAnswer(const Error& error) const;
  absl::Status Tunnel(const HttpUrl& url, absl::Duration timeout);
  absl::Status StartTls(const HttpUrl& url, absl::Duration timeout);

  // Runs one asynchronous operation to its end: `start` gets the handler, `cancel` makes the
  // operation end early. `error`, when given, tells how it ended and OK is returned for that.
  template <typename Start, typename Cancel>
  absl::Status Await(absl::string_view what, absl::Duration timeout, Start start, Cancel cancel,
                     Error* error = nullptr);
  // `start(stream, handler)` on the TLS stream or the socket.
  template <typename Start>
  absl::Status AwaitStream(absl::string_view what, absl::Duration timeout, Start start,
                           Error* error = nullptr);

  const std::atomic<bool>* const stop_;
  const std::string pinned_certificate_;
  const absl::Time deadline_;
  boost::asio::io_context io_;
  boost::asio::ip::tcp::socket socket_;
  std::optional<boost::asio::ssl::context> tls_context_;
  std::optional<boost::asio::ssl::stream<boost::asio::ip::tcp::socket&>> tls_;
  boost::beast::flat_buffer buffer_;
  std::string host_;  // for messages
};

}  // namespace regatta
