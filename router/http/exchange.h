// Exchange: one HTTP request and the way to answer it. The seam between the HTTP server, which
// knows connections and bytes, and what answers, which knows neither.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace regatta {

struct HttpRequest {
  std::string method;                                        // upper case
  std::string path;                                          // decoded, without query
  std::string query;                                         // as sent, without '?'
  std::vector<std::pair<std::string, std::string>> headers;  // names in lower case
  std::string body;
  std::string peer;    // address of the client
  std::string id;      // x-request-id: the client's, or made by the server
  std::string caller;  // name of the API key that was used; empty when keys are off or nameless

  // The value of the first header of that (lower-case) name; empty when there is none.
  std::string_view Header(std::string_view name) const;
};

using HttpHeaders = std::vector<std::pair<std::string, std::string>>;

// Exactly one answer: Reply, or StartEvents, any number of SendEvents and EndEvents. Thread-safe;
// nothing waits for the client. After the client has gone, calls do nothing.
class Exchange : public std::enable_shared_from_this<Exchange> {
 public:
  virtual ~Exchange() = default;

  // Valid as long as the exchange.
  virtual const HttpRequest& request() const = 0;

  // A whole answer. Length, date, server, connection and x-request-id are added.
  virtual void Reply(unsigned status, HttpHeaders headers, std::string body) = 0;

  // An answer in server-sent events (text/event-stream, WHATWG HTML 9.2): status 200 and `headers`,
  // then bytes that are already framed ("data: ...\n\n"). Calls made before the connection has
  // written what came earlier are written together. False when the client reads too slowly or has
  // gone: the exchange is over and OnGone has been, or will be, called.
  virtual void StartEvents(HttpHeaders headers) = 0;
  virtual bool SendEvents(std::string_view bytes) = 0;
  virtual void EndEvents() = 0;

  // `gone` is called once, on the exchange's thread, when the client goes away or is cut off before
  // the answer is complete; at once when it already has. It is dropped when the answer is complete.
  virtual void OnGone(std::function<void()> gone) = 0;

  // Runs `task` on the thread that serves this connection, after earlier tasks.
  virtual void Post(std::function<void()> task) = 0;
};

// Answers one request; called on the connection's thread, so it must not block.
using HttpHandler = std::function<void(std::shared_ptr<Exchange>)>;

}  // namespace regatta
