// Health and version over HTTP; see health_routes.h.
#include "router/http/health_routes.h"

#include <nlohmann/json.hpp>
#include <string>
#include <utility>

#include "common/version.h"
#include "router/http/response.h"

namespace regatta {
namespace {

void ReplyJson(Exchange& exchange, const nlohmann::ordered_json& json) {
  // Caches would answer for a server that is gone.
  exchange.Reply(200, {{"content-type", "application/json"}, {"cache-control", "no-store"}},
                 json.dump() + "\n");
}

}  // namespace

void AddHealthRoutes(HttpServer& server, std::function<bool()> ready) {
  const HttpHandler readiness = [ready = std::move(ready)](std::shared_ptr<Exchange> exchange) {
    if (ready()) return ReplyJson(*exchange, {{"status", "ready"}});
    HttpAnswer answer =
        ErrorAnswer(503, "not serving: the model is loading, recovering or draining", "not_ready");
    exchange->Reply(answer.status, std::move(answer.headers), std::move(answer.body));
  };
  server.Route("GET", "/ready", readiness, Access::kOpen);
  server.Route("GET", "/health", readiness, Access::kOpen);
  const auto live = [](std::shared_ptr<Exchange> exchange) {
    ReplyJson(*exchange, {{"status", "live"}});
  };
  server.Route("GET", "/live", live, Access::kOpen);
  const auto version = [](std::shared_ptr<Exchange> exchange) {
    ReplyJson(*exchange, {{"version", kVersion}, {"commit", BuildCommit()}});
  };
  server.Route("GET", "/version", version, Access::kOpen);
}

}  // namespace regatta
