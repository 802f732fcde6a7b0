// The table of figures; see compared_metrics.h.
#include "orchestrator/compare/compared_metrics.h"

#include "absl/strings/str_join.h"
#include "orchestrator/statistics/headline_latency.h"
#include "orchestrator/statistics/user_speed.h"

namespace regatta {
namespace {

using Point = const PointReport&;

const Percentiles& SentTtft(Point p) { return p.streaming_metrics().ttft_percentiles(); }

const Percentiles& SentLatency(Point p) { return p.performance().request_latency_percentiles_ms(); }

constexpr ComparedMetric kMetrics[] = {
    {"output_throughput", "tok/s", true, true,
     [](Point p) { return p.performance().system_output_throughput_tok_s(); }},
    {"output_throughput_per_gpu", "tok/s", true, false,
     [](Point p) { return p.performance().output_throughput_per_gpu_tok_s(); }},
    {"total_throughput", "tok/s", true, false,
     [](Point p) { return p.performance().system_total_throughput_tok_s(); }},
    {"request_throughput", "req/s", true, false,
     [](Point p) { return p.performance().request_throughput_req_s(); }},
    {"goodput", "req/s", true, true,
     [](Point p) { return p.regatta().goodput().request_goodput_req_s(); }, nullptr, true},
    {"user_speed", "tok/s", true, true, DecodingSpeed},
    {"p5_user_speed", "tok/s", true, false,
     [](Point p) { return p.regatta().p5_user_speed_tok_s(); }},
    {"mean_ttft", "ms", false, true, HeadlineMeanTtftMs,
     [](Point p) { return p.streaming_metrics().avg_ttft_ms(); }},
    {"p50_ttft", "ms", false, false, [](Point p) { return HeadlineTtft(p).p50(); },
     [](Point p) { return SentTtft(p).p50(); }},
    {"p95_ttft", "ms", false, true, [](Point p) { return HeadlineTtft(p).p95(); },
     [](Point p) { return SentTtft(p).p95(); }},
    {"p99_ttft", "ms", false, false, [](Point p) { return HeadlineTtft(p).p99(); },
     [](Point p) { return SentTtft(p).p99(); }},
    {"mean_tpot", "ms", false, true, [](Point p) { return p.streaming_metrics().avg_tpot_ms(); }},
    {"p50_tpot", "ms", false, false,
     [](Point p) { return p.streaming_metrics().tpot_percentiles().p50(); }},
    {"p95_tpot", "ms", false, false,
     [](Point p) { return p.streaming_metrics().tpot_percentiles().p95(); }},
    {"p99_tpot", "ms", false, false,
     [](Point p) { return p.streaming_metrics().tpot_percentiles().p99(); }},
    {"mean_itl", "ms", false, false, [](Point p) { return p.regatta().itl_ms().average(); }},
    {"p99_itl", "ms", false, true, [](Point p) { return p.regatta().itl_ms().p99(); }},
    {"mean_latency", "ms", false, true, HeadlineMeanLatencyMs,
     [](Point p) { return p.performance().avg_request_latency_ms(); }},
    {"p50_latency", "ms", false, false, [](Point p) { return HeadlineLatency(p).p50(); },
     [](Point p) { return SentLatency(p).p50(); }},
    {"p95_latency", "ms", false, true, [](Point p) { return HeadlineLatency(p).p95(); },
     [](Point p) { return SentLatency(p).p95(); }},
    {"p99_latency", "ms", false, false, [](Point p) { return HeadlineLatency(p).p99(); },
     [](Point p) { return SentLatency(p).p99(); }},
    {"tokens_per_joule", "tok/J", true, true,
     [](Point p) { return p.regatta().energy().output_tokens_per_joule(); }},
    {"cost_per_million_tokens", "", false, true,
     [](Point p) { return p.regatta().cost().per_million_output_tokens(); }},
};

}  // namespace

absl::Span<const ComparedMetric> ComparedMetrics() { return kMetrics; }

const ComparedMetric* FindComparedMetric(absl::string_view name) {
  for (const ComparedMetric& metric : kMetrics) {
    if (metric.name == name) return &metric;
  }
  return nullptr;
}

std::string ComparedMetricNames() {
  return absl::StrJoin(kMetrics, ", ", [](std::string* out, const ComparedMetric& metric) {
    out->append(metric.name);
  });
}

}  // namespace regatta
