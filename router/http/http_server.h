// HttpServer: HTTP/1.1 (and 1.0) for the outside world, plain or TLS. A few threads, each with its
// own event loop and its own connections; what is asked reaches handlers as an Exchange.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "router/http/exchange.h"
#include "router/http/http_limits.h"
#include "router/http/routes.h"

namespace regatta {

class ServerState;
class ServerThreads;

struct HttpServerOptions {
  std::string listen = "127.0.0.1:8000";  // host:port; [::]:8000 for both families; port 0 = any
  int threads = 0;                        // 0 = min(4, CPUs)
  HttpLimits limits;
  // Origins whose pages may call this server (CORS), comma separated; "*" for all, empty for none.
  std::string cors_origin;
  // PEM files; both or neither. Read again when they change, without touching open connections.
  std::string tls_cert;
  std::string tls_key;
  std::string api_key_file;  // see api_keys.h; empty = routes need no key. Read again likewise.
  absl::Duration reload_interval = absl::Seconds(5);
  std::function<void(const std::string&)> log;  // lines for people; from several threads
};

class HttpServer {
 public:
  explicit HttpServer(HttpServerOptions options);
  // Stops.
  ~HttpServer();

  // Before Start. `path` is matched exactly, after percent-decoding; a last segment in braces, as
  // in
  // "/v1/models/{id}", stands for any non-empty rest, slashes included. GET also answers HEAD. With
  // API keys, a request to a path needs one unless all its routes are open.
  void Route(const std::string& method, const std::string& path, HttpHandler handler,
             Access access = Access::kKey);

  // Listens and answers. INVALID_ARGUMENT, NOT_FOUND: options and the files they name; UNAVAILABLE:
  // the address cannot be listened on.
  absl::Status Start();
  // host:port as bound; after Start.
  const std::string& address() const;

  // Stops listening and closes idle connections; from now on every answer ends its connection. Does
  // not wait; again does nothing.
  void BeginDrain();
  // BeginDrain, and lets connections finish their answers until `deadline` has passed. True when
  // all did. Waits; what is left is for Stop.
  bool Drain(absl::Duration deadline);
  // Cuts off what runs (OnGone is called) and ends the threads. Exchanges may outlive this; calls
  // to them do nothing then.
  void Stop();

  size_t num_connections() const;
  // Bytes of request bodies and of large answers. Thread-safe.
  size_t body_bytes_held() const;     // in memory now
  uint64_t body_bytes_freed() const;  // let go of since the start
  // Requests whose answers have begun. Thread-safe.
  std::vector<RouteCount> Counts() const;
  // A line for people, to where the server's own go.
  void Log(const std::string& line) const;

 private:
  const std::unique_ptr<ServerState> state_;
  std::unique_ptr<ServerThreads> threads_;
  std::string address_;
};

}  // namespace regatta
