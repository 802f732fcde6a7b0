// HttpEdge: the router's HTTP side: its server, health, and how it begins and ends. What is served
// there adds its routes to server().
#pragma once

#include <atomic>
#include <functional>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "router/http/http_server.h"

namespace regatta {

class HttpEdge {
 public:
  // `serving` tells whether requests would be answered now; called from several threads.
  HttpEdge(const HttpServerOptions& options, std::function<bool()> serving);

  // For further routes, before Start. Their handlers' objects must outlive the edge.
  HttpServer& server() { return server_; }

  // Listens, and writes the bound address to `address_file` unless that is empty. From now on /live
  // answers; /ready does when `serving` says so.
  absl::Status Start(const std::string& address_file);
  // Nobody may send more: new connections are refused, idle ones closed, and /ready and /health say
  // no on those that are open. Answers under way go on. Does not wait.
  void BeginDrain();
  // BeginDrain, and lets answers that are under way reach their clients until `deadline`.
  void Drain(absl::Duration deadline);

 private:
  std::atomic<bool> draining_ = false;
  HttpServer server_;
};

}  // namespace regatta
