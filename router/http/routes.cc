// Matching of paths and methods; see routes.h.
#include "router/http/routes.h"

#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/check.h"
#include "common/config.h"

namespace regatta {

void Routes::Add(const std::string& method, const std::string& path, HttpHandler handler,
                 Access access) {
  const size_t brace = path.find('{');
  const bool open_ended = brace != std::string::npos;
  CHECK(!open_ended || path.back() == '}') << path;
  Route route{method, path.substr(0, brace),           open_ended, std::move(handler), access,
              path,   std::make_unique<StatusCounts>()};
  for (const Route& other : routes_) {
    CHECK(other.method != route.method || other.path != route.path ||
          other.open_ended != open_ended)
        << method << " " << path << " has two handlers";
  }
  routes_.push_back(std::move(route));
}

Routes::Match Routes::FindAmong(bool open_ended, absl::string_view method,
                                absl::string_view path) const {
  Match match;
  match.counts = unknown_.get();
  bool all_open = true;
  for (const Route& route : routes_) {
    if (route.open_ended != open_ended) continue;
    const bool matches = open_ended
                             ? path.size() > route.path.size() && absl::StartsWith(path, route.path)
                             : path == route.path;
    if (!matches) continue;
    all_open &= route.access == Access::kOpen;
    absl::StrAppend(&match.allow, match.allow.empty() ? "" : ", ", route.method,
                    route.method == "GET" ? ", HEAD" : "");
    if (method == route.method || (method == "HEAD" && route.method == "GET")) {
      match.handler = &route.handler;
      match.counts = route.counts.get();
    }
  }
  if (!match.allow.empty() && all_open) match.access = Access::kOpen;
  return match;
}

Routes::Match Routes::Find(absl::string_view method, absl::string_view path) const {
  Match exact = FindAmong(false, method, path);
  return exact.allow.empty() ? FindAmong(true, method, path) : exact;
}

std::vector<RouteCount> Routes::Counts() const {
  std::vector<RouteCount> counts;
  for (const Route& route : routes_) route.counts->AppendTo(route.method, route.name, counts);
  unknown_->AppendTo("unknown", "unknown", counts);
  return counts;
}

std::string Routes::Nearest(const std::string& path) const {
  std::vector<std::string> paths;
  for (const Route& route : routes_) {
    if (route.path != path) paths.push_back(route.path);  // "/models/" lacks what follows it
  }
  return regatta::Nearest(path, paths);
}

}  // namespace regatta
