// HTML rendering; see html_page.h.
#include "orchestrator/report/html_page.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "orchestrator/report/frontier.h"
#include "orchestrator/report/report.h"

namespace regatta {
namespace {

constexpr char kHead[] = R"(<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">
<style>
:root{--bg:#f5f6f8;--card:#fff;--text:#27303a;--soft:#5b6672;--line:#e4e7eb;--warn:#b3261e;--warnbg:#fdecea;--good:#0b6e4f}
@media (prefers-color-scheme:dark){:root{--bg:#0e1115;--card:#15191e;--text:#e6eaee;--soft:#a3adb8;--line:#2b323a;--warn:#ff8a80;--warnbg:#3a1f1d;--good:#5dd6a8}}
body{margin:0;background:var(--bg);color:var(--text);font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"DejaVu Sans",sans-serif}
main{max-width:1160px;margin:0 auto;padding:28px 20px 60px}
h1{font-size:24px;margin:0 0 2px}h2{font-size:17px;margin:34px 0 10px}
.soft{color:var(--soft)}.warn{background:var(--warnbg);color:var(--warn);border-radius:8px;padding:10px 14px;margin:14px 0;font-weight:600}
.facts{display:grid;grid-template-columns:repeat(auto-fit,minmax(170px,1fr));gap:10px;margin:18px 0}
.fact,.chart,.scroll{background:var(--card);border:1px solid var(--line);border-radius:10px}
.fact{padding:10px 14px}.fact b{display:block;font-size:18px;font-variant-numeric:tabular-nums}.fact span{color:var(--soft);font-size:12px}
.charts{display:grid;grid-template-columns:repeat(auto-fit,minmax(340px,1fr));gap:14px;margin-top:14px}
.chart svg{display:block;width:100%;height:auto}.scroll{overflow-x:auto}
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}
th,td{padding:7px 12px;text-align:right;border-bottom:1px solid var(--line);white-space:nowrap}
th{color:var(--soft);font-weight:600;font-size:12px}tr:last-child td{border-bottom:0}td.on{color:var(--good);font-weight:700}
pre{background:var(--card);border:1px solid var(--line);border-radius:10px;padding:12px 14px;overflow-x:auto;font-size:12.5px}
summary{cursor:pointer;padding:4px 0}
</style>
)";

std::string Fact(const std::string& value, const std::string& name) {
  return absl::StrFormat("<div class=\"fact\"><b>%s</b><span>%s</span></div>\n", EscapeXml(value),
                         EscapeXml(name));
}

// The best points, each with the concurrency it was seen at.
std::string Facts(const SweepReport& sweep) {
  const PointReport* throughput = nullptr;
  const PointReport* speed = nullptr;
  const PointReport* ttft = nullptr;
  for (const PointReport& point : sweep.points()) {
    if (GpuThroughput(point) <= 0) continue;
    if (!throughput || GpuThroughput(point) > GpuThroughput(*throughput)) throughput = &point;
    if (!speed || UserSpeed(point) > UserSpeed(*speed)) speed = &point;
    const auto p50 = [](const PointReport& p) {
      return p.streaming_metrics().ttft_percentiles().p50();
    };
    if (point.has_streaming_metrics() && (!ttft || p50(point) < p50(*ttft))) ttft = &point;
  }
  if (!throughput) return "";
  std::string out = "<div class=\"facts\">";
  out += Fact(
      absl::StrFormat("%.0f tok/s", throughput->performance().system_output_throughput_tok_s()),
      absl::StrFormat("best output throughput (c=%d)", throughput->regatta().concurrency()));
  out += Fact(absl::StrFormat("%.1f tok/s", UserSpeed(*speed)),
              absl::StrFormat("best speed per user (c=%d)", speed->regatta().concurrency()));
  if (ttft) {
    out += Fact(absl::StrFormat("%.1f ms", ttft->streaming_metrics().ttft_percentiles().p50()),
                absl::StrFormat("lowest median TTFT (c=%d)", ttft->regatta().concurrency()));
  }
  const WorldInfo& world = throughput->world_info();
  out += Fact(absl::StrCat(world.world_size(), world.world_size() == 1 ? " rank" : " ranks"),
              absl::StrFormat("tp %d, pp %d, ep %d, dp %d", world.tp_size(), world.pp_size(),
                              std::max(1u, world.ep_size()), std::max(1u, world.dp_size())));
  out += Fact(absl::StrFormat("%d / %d", world.max_batch_size(), world.max_num_tokens()),
              "max batch size / max tokens of a step");
  if (throughput->regatta().has_correct_fraction()) {
    double worst = 1;
    for (const PointReport& point : sweep.points())
      worst = std::min(worst, point.regatta().correct_fraction());
    out += Fact(absl::StrFormat("%.1f%%", worst * 100), "exact answers, worst point");
  }
  return out + "</div>\n";
}

std::string Table(const SweepReport& sweep) {
  const std::vector<bool> frontier = OnFrontier(sweep);
  std::string out =
      "<div "
      "class=\"scroll\"><table><thead><tr><th>Concurrency</th><th>Requests</th><th>req/s</"
      "th><th>out tok/s</th>"
      "<th>tok/s/GPU</th><th>tok/s/user</th><th>TTFT p50 ms</th><th>TTFT p95 ms</th><th>TPOT p50 "
      "ms</th>"
      "<th>TPOT p99 ms</th><th>Latency p50 ms</th><th>Failed</th></tr></thead><tbody>\n";
  for (int i = 0; i < sweep.points_size(); ++i) {
    const PointReport& p = sweep.points(i);
    const StreamingMetrics& s = p.streaming_metrics();
    const bool completed = HasCompleted(p), times = HasTokenTimes(p);
    absl::StrAppendFormat(&out, "<tr><td%s>%d</td><td>%d</td>",
                          frontier[i] ? " class=\"on\" title=\"on the frontier\"" : "",
                          p.regatta().concurrency(), p.request_info().num_requests());
    const auto add = [&out](bool known, int decimals, double value) {
      out += known ? absl::StrFormat("<td>%.*f</td>", decimals, value) : "<td>-</td>";
    };
    add(completed, 2, p.performance().request_throughput_req_s());
    add(completed, 1, p.performance().system_output_throughput_tok_s());
    add(completed, 1, GpuThroughput(p));
    add(completed, 2, UserSpeed(p));
    add(times, 1, s.ttft_percentiles().p50());
    add(times, 1, s.ttft_percentiles().p95());
    add(times, 2, s.tpot_percentiles().p50());
    add(times, 2, s.tpot_percentiles().p99());
    add(completed, 1, p.performance().request_latency_percentiles_ms().p50());
    absl::StrAppendFormat(&out, "<td>%d</td></tr>\n", p.regatta().failed_requests());
  }
  return out +
         "</tbody></table></div>\n<p class=\"soft\">Green: on the frontier. Figures are of the "
         "whole run, ramp and drain "
         "included; percentiles are over requests.</p>\n";
}

std::string Details(const SweepReport& sweep) {
  std::string out;
  for (const PointReport& point : sweep.points()) {
    absl::StrAppendFormat(
        &out, "<details><summary>Report at concurrency %d</summary><pre>%s</pre></details>\n",
        point.regatta().concurrency(), EscapeXml(RenderTerminalReport(point)));
  }
  return out;
}

}  // namespace

std::string RenderHtml(const SweepReport& sweep) {
  const std::string subject = EscapeXml(SweepSubject(sweep));
  std::string out =
      absl::StrCat(kHead, "<title>Regatta: ", subject, "</title></head><body><main>\n");
  absl::StrAppend(&out, "<h1>Regatta sweep</h1><div class=\"soft\">", subject, " &middot; ",
                  EscapeXml(sweep.created_utc()), "</div>\n");
  const std::string caveat = SweepCaveat(sweep);
  if (!caveat.empty()) absl::StrAppend(&out, "<div class=\"warn\">", EscapeXml(caveat), "</div>\n");
  absl::StrAppend(&out, Facts(sweep), "<div class=\"chart\">", RenderSvg(FrontierChart(sweep)),
                  "</div>\n");
  absl::StrAppend(&out, "<div class=\"charts\">");
  for (const Chart& chart : {ThroughputChart(sweep), TtftChart(sweep), TpotChart(sweep)}) {
    absl::StrAppend(&out, "<div class=\"chart\">", RenderSvg(chart), "</div>\n");
  }
  absl::StrAppend(&out, "</div>\n<h2>Points</h2>\n", Table(sweep), "<h2>Reports</h2>\n",
                  Details(sweep));
  absl::StrAppend(&out, "<h2>Repeat it</h2><pre>", EscapeXml(sweep.command()),
                  "</pre>\n<p class=\"soft\">Regatta ", EscapeXml(sweep.version()), " (",
                  EscapeXml(sweep.commit()), ") &middot; dataset ", EscapeXml(sweep.dataset_path()),
                  " &middot; ", EscapeXml(sweep.environment().cpu()), ", ",
                  sweep.environment().cpus(), " CPUs &middot; ",
                  EscapeXml(sweep.environment().kernel()), "</p>\n");
  return out + "</main></body></html>\n";
}

}  // namespace regatta
