// Charts and the frontier of a sweep; see frontier.h.
#include "orchestrator/report/frontier.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"

namespace regatta {
namespace {

std::string Concurrency(const PointReport& point) {
  const uint32_t c = point.regatta().concurrency();
  return c == 0 ? "all at once" : absl::StrCat("c=", c);
}

std::string Tooltip(const PointReport& point) {
  return absl::StrFormat("%s: %.1f tok/s/user, %.1f tok/s/GPU, TTFT p50 %.1f ms, TPOT p50 %.2f ms",
                         Concurrency(point), UserSpeed(point), GpuThroughput(point),
                         point.streaming_metrics().ttft_percentiles().p50(),
                         point.streaming_metrics().tpot_percentiles().p50());
}

// A chart over concurrency with one series per statistic of `get`.
Chart OverConcurrency(
    const SweepReport& sweep, const std::string& title, const std::string& y_label,
    const std::vector<std::pair<std::string, double (*)(const PointReport&)>>& statistics) {
  Chart chart;
  chart.title = title;
  chart.subtitle = SweepSubject(sweep);
  chart.note = SweepCaveat(sweep);
  chart.x_label = "Concurrency (requests in flight)";
  chart.y_label = y_label;
  chart.log_x = true;
  chart.width = 560;
  chart.height = 380;
  for (const auto& [name, get] : statistics) {
    ChartSeries series{.name = name};
    for (const PointReport& point : sweep.points()) {
      if (!HasCompleted(point)) continue;
      const double x = std::max(1u, point.regatta().concurrency());
      series.points.push_back({.x = x, .y = get(point), .tooltip = Tooltip(point)});
    }
    chart.series.push_back(std::move(series));
  }
  return chart;
}

}  // namespace

double UserSpeed(const PointReport& point) {
  return point.has_streaming_metrics() ? point.streaming_metrics().token_output_speed_tok_s()
                                       : point.performance().output_throughput_per_user_tok_s();
}

double GpuThroughput(const PointReport& point) {
  return point.performance().output_throughput_per_gpu_tok_s();
}

bool HasCompleted(const PointReport& point) { return point.request_info().num_requests() > 0; }

bool HasTokenTimes(const PointReport& point) {
  return HasCompleted(point) && point.has_streaming_metrics();
}

std::vector<bool> OnFrontier(const SweepReport& sweep) {
  std::vector<bool> on(sweep.points_size(), false);
  for (int i = 0; i < sweep.points_size(); ++i) {
    const double x = UserSpeed(sweep.points(i)), y = GpuThroughput(sweep.points(i));
    if (y <= 0) continue;
    on[i] =
        std::none_of(sweep.points().begin(), sweep.points().end(), [&](const PointReport& other) {
          const double ox = UserSpeed(other), oy = GpuThroughput(other);
          return ox >= x && oy >= y && (ox > x || oy > y);
        });
  }
  return on;
}

std::string SweepCaveat(const SweepReport& sweep) {
  std::vector<std::string> parts;
  uint32_t failed = 0;
  for (const PointReport& point : sweep.points()) failed += point.regatta().failed_requests();
  if (sweep.points_size() > 0) {
    const RegattaInfo& info = sweep.points(0).regatta();
    if (!info.performance_figure() && !info.device_note().empty())
      parts.push_back("device: " + info.device_note());
    if (info.dummy_weights()) parts.push_back("dummy weights");
    if (info.dummy_router_skew() > 0) {
      parts.push_back(absl::StrCat("router skew ", info.dummy_router_skew()));
    }
  }
  if (failed > 0) parts.push_back(absl::StrCat(failed, " failed requests"));
  if (!sweep.completed()) parts.push_back("sweep not completed");
  if (sweep.insecure()) parts.push_back("plaintext gRPC off loopback");
  for (const HostFinding& finding : sweep.environment().findings()) {
    if (finding.level() == "ok" || finding.level() == "note") continue;
    parts.push_back(absl::StrCat(finding.subject(), ": ", finding.what(), " ", finding.value()));
  }
  return absl::StrJoin(parts, "; ");
}

std::string SweepSubject(const SweepReport& sweep) {
  if (sweep.points_size() == 0) return "";
  const PointReport& point = sweep.points(0);
  double requests = 0, input = 0, output = 0;
  for (const PointReport& p : sweep.points()) {
    requests += p.request_info().num_requests();
    input += p.request_info().num_requests() * p.request_info().avg_input_length();
    output += p.request_info().num_requests() * p.request_info().avg_output_length();
  }
  const std::string& quantization = point.engine().quantization();
  const std::string& precision = quantization.empty() ? point.engine().dtype() : quantization;
  std::vector<std::string> parts = {point.engine().model(), point.regatta().layout(), precision,
                                    point.machine().name()};
  // Of a server behind HTTP not all is known.
  parts.erase(std::remove(parts.begin(), parts.end(), ""), parts.end());
  return absl::StrFormat("%s, %.0f in / %.0f out", absl::StrJoin(parts, ", "),
                         input / std::max(1.0, requests), output / std::max(1.0, requests));
}

Chart FrontierChart(const SweepReport& sweep) {
  Chart chart;
  chart.title = "Throughput against speed";
  chart.subtitle = SweepSubject(sweep);
  chart.note = SweepCaveat(sweep);
  chart.x_label = "Per User Output Speed (tok/s/user)";
  chart.y_label = "Per GPU Output Throughput (tok/s/GPU)";
  if (sweep.points_size() > 0 && !sweep.points(0).regatta().performance_figure()) {
    chart.y_label = "Output throughput per rank (tok/s/rank)";
  }
  const std::vector<bool> on_frontier = OnFrontier(sweep);
  ChartSeries series{.name = "measured"};
  for (int i = 0; i < sweep.points_size(); ++i) {
    const PointReport& point = sweep.points(i);
    if (GpuThroughput(point) <= 0) continue;
    series.points.push_back({.x = UserSpeed(point),
                             .y = GpuThroughput(point),
                             .label = Concurrency(point),
                             .tooltip = Tooltip(point),
                             .hollow = !on_frontier[i]});
  }
  chart.series.push_back(std::move(series));
  return chart;
}

Chart ThroughputChart(const SweepReport& sweep) {
  return OverConcurrency(sweep, "Output throughput", "tok/s, whole system",
                         {{"output", [](const PointReport& p) {
                             return p.performance().system_output_throughput_tok_s();
                           }}});
}

Chart TtftChart(const SweepReport& sweep) {
  return OverConcurrency(
      sweep, "Time to first token", "ms",
      {{"p50", [](const PointReport& p) { return p.streaming_metrics().ttft_percentiles().p50(); }},
       {"p95", [](const PointReport& p) { return p.streaming_metrics().ttft_percentiles().p95(); }},
       {"p99",
        [](const PointReport& p) { return p.streaming_metrics().ttft_percentiles().p99(); }}});
}

Chart TpotChart(const SweepReport& sweep) {
  return OverConcurrency(
      sweep, "Time per output token", "ms",
      {{"p50", [](const PointReport& p) { return p.streaming_metrics().tpot_percentiles().p50(); }},
       {"p95", [](const PointReport& p) { return p.streaming_metrics().tpot_percentiles().p95(); }},
       {"p99",
        [](const PointReport& p) { return p.streaming_metrics().tpot_percentiles().p99(); }}});
}

}  // namespace regatta
