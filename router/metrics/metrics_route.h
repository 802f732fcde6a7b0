// GET /metrics: the figures for Prometheus and for pickers of endpoints, which ask every 50 ms.
#pragma once

#include <string>

#include "router/http/http_server.h"
#include "router/metrics/router_metrics.h"

namespace regatta {

// Answers 200 always, from before a model is loaded on; needs a key, when there are keys. Series
// are labelled `model_name`; with `vllm_names` they come under vLLM's names too. `metrics` must
// outlive the server.
void AddMetricsRoute(HttpServer& server, const RouterMetrics& metrics,
                     const std::string& model_name, bool vllm_names);

}  // namespace regatta
