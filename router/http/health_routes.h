// Routes that tell machines how the server is: probes, load balancers, people with curl.
#pragma once

#include <functional>

#include "router/http/http_server.h"

namespace regatta {

// GET /live: 200 while the process answers at all. GET /ready and /health: 200 while `ready` says
// so, else 503 with Retry-After. GET /version: version and commit. All without a key. `ready` is
// called from several threads and must not block.
void AddHealthRoutes(HttpServer& server, std::function<bool()> ready);

}  // namespace regatta
