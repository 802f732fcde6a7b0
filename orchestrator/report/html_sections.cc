// Facts and tables; see html_sections.h.
#include "orchestrator/report/html_sections.h"

#include <algorithm>
#include <set>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "orchestrator/report/frontier.h"
#include "orchestrator/report/known_figure.h"
#include "orchestrator/report/point_notes.h"
#include "orchestrator/report/recommendation_text.h"
#include "orchestrator/report/report.h"
#include "orchestrator/report/svg_chart.h"
#include "orchestrator/statistics/headline_latency.h"
#include "orchestrator/statistics/load_name.h"

namespace regatta {
namespace {

std::string Fact(const std::string& value, const std::string& name) {
  return absl::StrFormat("<div class=\"fact\"><b>%s</b><span>%s</span></div>\n", EscapeXml(value),
                         EscapeXml(name));
}

// Columns of the table of points that not every table needs.
struct PointColumns {
  bool series = false, cancelled = false, client = false;
};

PointColumns PointColumnsOf(const std::vector<PointSeries>& all) {
  PointColumns columns = {.series = all.size() > 1};
  for (const PointReport* point : AllPoints(all)) {
    columns.cancelled |= point->regatta().cancelled_requests() > 0;
    columns.client |= point->regatta().has_client();
  }
  return columns;
}

// "3"; "-" where none was published.
std::string CountCell(bool known, uint32_t count) {
  return absl::StrCat("<td>", known ? absl::StrCat(count) : "-", "</td>");
}

std::string PointHead(const PointColumns& columns) {
  return absl::StrCat(
      "<tr>", columns.series ? "<th class=\"name\">Series</th>" : "",
      "<th>Load</th><th>Requests</th><th>req/s</th><th>out tok/s</th><th>tok/s/GPU</th>"
      "<th>tok/s/user</th><th>TTFT p50 ms</th><th>TTFT p95 ms</th><th>TPOT p50 ms</th>"
      "<th>TPOT p99 ms</th><th>Latency p50 ms</th><th>Failed</th>",
      columns.cancelled ? "<th>Cancelled</th>" : "", columns.client ? "<th>Client-bound</th>" : "",
      "</tr>");
}

std::string LoadCell(const PointReport& point, bool on_frontier) {
  const bool noted = !NotesOf(point).empty();
  return absl::StrCat("<td", on_frontier ? " class=\"on\" title=\"on the frontier\"" : "", ">",
                      noted ? "<b class=\"noted\" title=\"see below the table\">!</b> " : "",
                      LoadLabel(LoadOf(point.regatta())), "</td>");
}

// Whether the load generator shaped the point.
std::string ClientCell(const RegattaInfo& info) {
  if (!info.has_client()) return "<td>-</td>";
  return info.client().bound() ? "<td class=\"bad\">yes</td>" : "<td>no</td>";
}

std::string PointRow(const PointReport& p, uint32_t failed_requests, const std::string& series,
                     bool on_frontier, const PointColumns& columns) {
  const StreamingMetrics& s = p.streaming_metrics();
  const bool completed = HasCompleted(p), times = HasTokenTimes(p);
  std::string out =
      absl::StrCat("<tr>", columns.series ? NameCell(series) : "", LoadCell(p, on_frontier), "<td>",
                   p.request_info().num_requests(), "</td>");
  const auto add = [&](bool known, int decimals, double value) {
    out += known && IsKnown(p, value) ? absl::StrFormat("<td>%.*f</td>", decimals, value)
                                      : "<td>-</td>";
  };
  add(completed, 2, p.performance().request_throughput_req_s());
  add(completed, 1, p.performance().system_output_throughput_tok_s());
  add(completed, 1, GpuThroughput(p));
  add(completed, 2, UserSpeed(p));
  add(times, 1, HeadlineTtft(p).p50());
  add(times, 1, HeadlineTtft(p).p95());
  add(times, 2, s.tpot_percentiles().p50());
  add(times, 2, s.tpot_percentiles().p99());
  add(completed, 1, HeadlineLatency(p).p50());
  const uint32_t cancelled = p.regatta().cancelled_requests();
  return absl::StrCat(out, CountCell(KnowsFailures(p), failed_requests),
                      columns.cancelled ? CountCell(IsKnown(p, cancelled), cancelled) : "",
                      columns.client ? ClientCell(p.regatta()) : "", "</tr>\n");
}

// Every note with the points that it is said of; empty where there is none.
std::string NotesHtml(const std::vector<PointSeries>& all) {
  std::string out;
  for (const PointNote& note : NotesOf(all)) {
    absl::StrAppend(&out, "<li><b>! ", EscapeXml(absl::StrJoin(note.points, "; ")), "</b> ",
                    EscapeXml(note.text), "</li>\n");
  }
  return out.empty() ? "" : absl::StrCat("<ul class=\"notes\">\n", out, "</ul>\n");
}

std::string OriginHtml(const Origin& origin) {
  std::vector<std::string> parts = {
      absl::StrCat("Imported from ", origin.format(), ": ", absl::StrJoin(origin.files(), ", "))};
  if (!origin.published_by().empty()) parts.push_back("published by " + origin.published_by());
  if (!origin.tool().empty()) parts.push_back("measured with " + origin.tool());
  parts.insert(parts.end(), origin.notes().begin(), origin.notes().end());
  return absl::StrCat("<p class=\"soft\">", EscapeXml(absl::StrJoin(parts, "; ")), "</p>\n");
}

// One metric of all points, a row per series.
std::string HeatMap(const std::vector<PointSeries>& all, const std::string& caption,
                    double (*get)(const PointReport&)) {
  std::set<LoadKey> loads;
  double best = 0;
  for (const PointReport* point : AllPoints(all)) {
    loads.insert(LoadOf(point->regatta()));
    if (HasCompleted(*point)) best = std::max(best, get(*point));
  }
  std::string out = absl::StrCat("<div class=\"scroll\"><table class=\"heat\"><caption>", caption,
                                 "</caption><thead><tr><th class=\"name\">Load</th>");
  for (const LoadKey& load : loads) absl::StrAppend(&out, "<th>", LoadLabel(load), "</th>");
  out += "</tr></thead><tbody>\n";
  for (const PointSeries& series : all) {
    absl::StrAppend(&out, "<tr>", NameCell(series.name));
    for (const LoadKey& load : loads) {
      const auto found = std::find_if(
          series.points.begin(), series.points.end(),
          [&](const PointReport* p) { return LoadOf(p->regatta()) == load && HasCompleted(*p); });
      if (found == series.points.end() || best <= 0) {
        out += "<td></td>";
      } else if (!IsKnown(**found, get(**found))) {
        out += "<td class=\"cell\">-</td>";
      } else {
        absl::StrAppendFormat(&out, "<td class=\"cell\" style=\"--v:%.3f\">%.1f</td>",
                              std::max(0.0, get(**found) / best), get(**found));
      }
    }
    out += "</tr>\n";
  }
  return out + "</tbody></table></div>\n";
}

// Ranks and limits of one layout; of several how many there are, and which gave most.
std::string LayoutFacts(const SweepReport& sweep, const PointReport& best) {
  std::set<std::string> layouts;
  for (const PointReport& point : sweep.points()) layouts.insert(point.regatta().layout());
  if (layouts.size() > 1) {
    return Fact(absl::StrCat(layouts.size(), " layouts"),
                absl::StrCat("best output throughput: ", ArmName(best)));
  }
  const WorldInfo& world = best.world_info();
  if (world.tp_size() == 0) {
    return Fact("not known", absl::StrFormat("devices and layout of the server; it counts as %d %s",
                                             world.world_size(),
                                             world.world_size() == 1 ? "device" : "devices"));
  }
  std::string out =
      Fact(absl::StrCat(world.world_size(), world.world_size() == 1 ? " rank" : " ranks"),
           absl::StrFormat("tp %d, pp %d, ep %d, dp %d", world.tp_size(), world.pp_size(),
                           std::max(1u, world.ep_size()), std::max(1u, world.dp_size())));
  if (world.max_batch_size() > 0) {
    out += Fact(absl::StrFormat("%d / %d", world.max_batch_size(), world.max_num_tokens()),
                "max batch size / max tokens of a step");
  }
  return out;
}

}  // namespace

std::string NameCell(const std::string& name) {
  return absl::StrCat("<td class=\"name\">", EscapeXml(name), "</td>");
}

std::string FactsHtml(const SweepReport& sweep) {
  const PointReport* throughput = nullptr;
  const PointReport* speed = nullptr;
  const PointReport* ttft = nullptr;
  const auto system = [](const PointReport& p) {
    return p.performance().system_output_throughput_tok_s();
  };
  for (const PointReport& point : sweep.points()) {
    if (GpuThroughput(point) <= 0) continue;
    if (!throughput || system(point) > system(*throughput)) throughput = &point;
    if (!speed || UserSpeed(point) > UserSpeed(*speed)) speed = &point;
    const auto p50 = [](const PointReport& p) { return HeadlineTtft(p).p50(); };
    const bool known = point.has_streaming_metrics() && IsKnown(point, p50(point));
    if (known && (!ttft || p50(point) < p50(*ttft))) ttft = &point;
  }
  if (!throughput) return "";
  std::string out = "<div class=\"facts\">";
  out +=
      Fact(absl::StrFormat("%.0f tok/s", system(*throughput)),
           absl::StrCat("best output throughput (", LoadLabel(LoadOf(throughput->regatta())), ")"));
  if (IsKnown(*speed, UserSpeed(*speed))) {
    out += Fact(absl::StrFormat("%.1f tok/s", UserSpeed(*speed)),
                absl::StrCat("best speed per user (", LoadLabel(LoadOf(speed->regatta())), ")"));
  }
  if (ttft) {
    out += Fact(absl::StrFormat("%.1f ms", HeadlineTtft(*ttft).p50()),
                absl::StrCat("lowest median ", HeadlineTtftName(*ttft), " (",
                             LoadLabel(LoadOf(ttft->regatta())), ")"));
  }
  out += LayoutFacts(sweep, *throughput);
  if (throughput->regatta().has_correct_fraction()) {
    double worst = 1;
    for (const PointReport& point : sweep.points())
      worst = std::min(worst, point.regatta().correct_fraction());
    out += Fact(absl::StrFormat("%.1f%%", worst * 100), "exact answers, worst point");
  }
  return out + "</div>\n";
}

std::string RunTableHtml(absl::Span<const ReportedRun> runs) {
  std::string out =
      "<div class=\"scroll\"><table><thead><tr><th class=\"name\">Run</th><th class=\"name\">"
      "Directory</th><th class=\"name\">Measured</th></tr></thead><tbody>\n";
  for (size_t r = 0; r < runs.size(); ++r) {
    absl::StrAppend(&out, "<tr>", NameCell(RunLetter(r)), NameCell(runs[r].name),
                    NameCell(SweepSubject(runs[r].sweep)), "</tr>\n");
  }
  return out + "</tbody></table></div>\n";
}

std::string PointTableHtml(absl::Span<const ReportedRun> runs) {
  const std::vector<PointSeries> all = SeriesOf(runs);
  const std::vector<bool> on_frontier = OnFrontier(all);
  const PointColumns columns = PointColumnsOf(all);
  std::string out =
      absl::StrCat("<div class=\"scroll\"><table><thead>", PointHead(columns), "</thead><tbody>\n");
  size_t place = 0;
  for (const PointSeries& series : all) {
    for (size_t i = 0; i < series.points.size(); ++i) {
      out +=
          PointRow(*series.points[i], series.failed[i], series.name, on_frontier[place++], columns);
    }
  }
  const std::vector<const PointReport*> points = AllPoints(all);
  const bool times = std::any_of(points.begin(), points.end(),
                                 [](const PointReport* p) { return HasTokenTimes(*p); });
  const std::string basis = LatencyBasis(all, HasCompleted);
  return absl::StrCat(
      out, "</tbody></table></div>\n", NotesHtml(all),
      "<p class=\"soft\">Green: on the frontier. Figures are of the whole run, ramp and drain "
      "included; percentiles are over requests.",
      basis.empty()
          ? ""
          : absl::StrCat(times ? " TTFT and latency are " : " Latency is ", EscapeXml(basis), "."),
      "</p>\n");
}

std::string HeatMapsHtml(absl::Span<const ReportedRun> runs) {
  const std::vector<PointSeries> all = SeriesOf(runs);
  if (all.size() < 2) return "";
  return absl::StrCat("<h2>Layouts against load</h2>\n<div class=\"heats\">",
                      HeatMap(all, "Output tok/s per GPU", GpuThroughput),
                      HeatMap(all, "tok/s per user", UserSpeed), "</div>\n");
}

std::string RecommendationsHtml(absl::Span<const ReportedRun> runs) {
  std::string out;
  for (size_t r = 0; r < runs.size(); ++r) {
    const std::string text = RecommendationText(runs[r].sweep);
    if (text.empty()) continue;
    absl::StrAppend(&out, runs.size() > 1 ? absl::StrCat("<p>", RunLetter(r), "</p>") : "", "<pre>",
                    EscapeXml(std::string(absl::StripAsciiWhitespace(text))), "</pre>\n");
  }
  return out.empty() ? "" : "<h2>Search</h2>\n" + out;
}

std::string PointReportsHtml(absl::Span<const ReportedRun> runs) {
  const std::vector<PointSeries> all = SeriesOf(runs);
  std::string out;
  for (const PointSeries& series : all) {
    const std::string of = all.size() > 1 ? absl::StrCat(series.name, ", ") : "";
    for (const PointReport* point : series.points) {
      absl::StrAppend(&out, "<details><summary>", EscapeXml(of), LoadName(LoadOf(point->regatta())),
                      "</summary><pre>", EscapeXml(RenderTerminalReport(*point)),
                      "</pre></details>\n");
    }
  }
  return out;
}

std::string ProvenanceHtml(absl::Span<const ReportedRun> runs) {
  std::string out;
  for (size_t r = 0; r < runs.size(); ++r) {
    const SweepReport& sweep = runs[r].sweep;
    if (runs.size() > 1) absl::StrAppend(&out, "<p>", RunLetter(r), "</p>");
    if (sweep.has_imported()) {
      out += OriginHtml(sweep.imported());
      continue;
    }
    const std::string& directory = sweep.working_directory();
    absl::StrAppend(
        &out, "<pre class=\"wrap\">", EscapeXml(sweep.command()), "</pre>\n<p class=\"soft\">",
        directory.empty() ? "" : absl::StrCat("in ", EscapeXml(directory), " &middot; "),
        "Regatta ", EscapeXml(sweep.version()), " (", EscapeXml(sweep.commit()), ") &middot; ",
        EscapeXml(sweep.created_utc()), " &middot; dataset ", EscapeXml(sweep.dataset_path()),
        " &middot; ", EscapeXml(sweep.environment().cpu()), ", ", sweep.environment().cpus(),
        " CPUs &middot; ", EscapeXml(sweep.environment().kernel()), "</p>\n");
  }
  return out;
}

}  // namespace regatta
