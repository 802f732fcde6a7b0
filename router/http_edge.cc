// The router's HTTP side; see http_edge.h.
#include "router/http_edge.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "common/atomic_file.h"
#include "common/status_macros.h"
#include "router/http/health_routes.h"
#include "router/page/page_routes.h"

namespace regatta {

HttpEdge::HttpEdge(const HttpServerOptions& options, std::function<bool()> serving)
    : server_(options) {
  AddHealthRoutes(server_,
                  [this, serving = std::move(serving)] { return !draining_ && serving(); });
  AddPageRoutes(server_);
}

absl::Status HttpEdge::Start(const std::string& address_file) {
  RETURN_IF_ERROR(server_.Start());
  server_.Log(absl::StrCat("HTTP on ", server_.address()));
  if (address_file.empty()) return absl::OkStatus();
  return WriteFileAtomically(address_file, server_.address() + "\n");
}

void HttpEdge::BeginDrain() {
  draining_ = true;
  server_.BeginDrain();
}

void HttpEdge::Drain(absl::Duration deadline) {
  BeginDrain();
  if (server_.Drain(deadline)) return;
  server_.Log(absl::StrCat("HTTP: cutting off ", server_.num_connections(), " connections"));
}

}  // namespace regatta
