// The answer and its headers; see metrics_route.h.
#include "router/metrics/metrics_route.h"

#include <memory>
#include <utility>

#include "router/metrics/exposition.h"
#include "router/metrics/text_format.h"

namespace regatta {

void AddMetricsRoute(HttpServer& server, const RouterMetrics& metrics,
                     const std::string& model_name, bool vllm_names) {
  ExpositionOptions options{.model_name = model_name, .vllm_names = vllm_names};
  options.http = [&server] {
    return HttpFigures{.connections = server.num_connections(), .requests = server.Counts()};
  };
  const auto exposition = std::make_shared<const Exposition>(metrics, std::move(options));
  server.Route("GET", "/metrics", [exposition](std::shared_ptr<Exchange> exchange) {
    exchange->Reply(200,
                    {{"content-type", "text/plain; version=0.0.4; charset=utf-8"},
                     {"cache-control", "no-store"}},
                    TextFormat(exposition->Collect()));
  });
}

}  // namespace regatta
