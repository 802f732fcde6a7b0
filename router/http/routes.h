// Routes: which handler answers a method and a path.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "router/http/exchange.h"
#include "router/http/route_counts.h"

namespace regatta {

enum class Access {
  kKey,   // needs an API key, when there are keys
  kOpen,  // health and the like
};

class Routes {
 public:
  struct Match {
    const HttpHandler* handler = nullptr;  // null: see `allow`
    std::string allow;                     // methods the path takes, empty when it is unknown
    Access access = Access::kKey;          // of the path: open when all its routes are
    StatusCounts* counts = nullptr;        // of answers
  };

  // See HttpServer::Route. The same method and path twice is a bug.
  void Add(const std::string& method, const std::string& path, HttpHandler handler, Access access);

  // `path` as decoded. Exact paths win over those that end in braces.
  Match Find(absl::string_view method, absl::string_view path) const;

  // The route most like `path`, to be named in errors; empty when none is near.
  std::string Nearest(const std::string& path) const;

  // Of requests that reach no route.
  StatusCounts& unknown() const { return *unknown_; }
  // What the routes have answered, and `unknown` under that name.
  std::vector<RouteCount> Counts() const;

 private:
  struct Route {
    std::string method;
    std::string path;  // up to the brace
    bool open_ended;
    HttpHandler handler;
    Access access;
    std::string name;  // as registered
    std::unique_ptr<StatusCounts> counts;
  };
  Match FindAmong(bool open_ended, absl::string_view method, absl::string_view path) const;

  std::vector<Route> routes_;
  const std::unique_ptr<StatusCounts> unknown_ = std::make_unique<StatusCounts>();
};

}  // namespace regatta
