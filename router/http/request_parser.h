// RequestParser: the bytes of one HTTP/1.x request become an HttpRequest. The grammar is
// Boost.Beast's; the limits and the refusal of what is ambiguous are ours.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "router/http/exchange.h"
#include "router/http/http_limits.h"

namespace regatta {

class RequestParser {
 public:
  enum class Step {
    kNeedMore,
    kHeader,  // once: the header is complete; the body, if any, follows
    kDone,
    kError,  // see error_status; the connection cannot go on
  };

  // `limits` must outlive the parser.
  explicit RequestParser(const HttpLimits& limits);
  ~RequestParser();

  // Removes what it understood from the front of `input`; the rest must come again, followed by
  // more. Not to be called after kDone or kError.
  Step Feed(std::string_view& input);

  // After kError: 400, 413, 414, 431, 501 with a text for people.
  unsigned error_status() const;
  const std::string& error_message() const;

  // From kHeader on. `path`, `query`, `peer`, `id` and `caller` are not filled in.
  HttpRequest& request();
  const std::string& target() const;  // as sent
  bool http10() const;
  bool keep_alive() const;        // as the client wants it
  bool has_body() const;          // one follows
  bool expects_continue() const;  // and waits until it is told to send it

 private:
  class Impl;
  const std::unique_ptr<Impl> impl_;
};

}  // namespace regatta
