// Exposition: the router's figures in Prometheus' data model.
#pragma once

#include <prometheus/collectable.h>
#include <prometheus/metric_family.h>

#include <cstddef>
#include <functional>
#include <string>
#include <vector>

#include "router/http/route_counts.h"
#include "router/metrics/metric_table.h"
#include "router/metrics/router_metrics.h"

namespace regatta {

struct HttpFigures {
  size_t connections = 0;
  std::vector<RouteCount> requests;
};

struct ExpositionOptions {
  std::string model_name;             // label of all series
  bool vllm_names = false;            // also under vLLM's names
  std::function<HttpFigures()> http;  // thread-safe
};

class Exposition final : public prometheus::Collectable {
 public:
  // `metrics` must outlive this.
  Exposition(const RouterMetrics& metrics, ExpositionOptions options);

  // One family per name of MetricTable(), then the aliases. Thread-safe; takes no lock that a step
  // or a token takes.
  std::vector<prometheus::MetricFamily> Collect() const override;

 private:
  const RouterMetrics& metrics_;
  const ExpositionOptions options_;
};

}  // namespace regatta
