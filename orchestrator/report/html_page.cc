// HTML rendering; see html_page.h.
#include "orchestrator/report/html_page.h"

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/check.h"
#include "common/string_views.h"
#include "orchestrator/report/chart_json.h"
#include "orchestrator/report/html_sections.h"
#include "orchestrator/report/page/page_files.h"
#include "orchestrator/report/partition_section.h"
#include "orchestrator/report/svg_chart.h"
#include "orchestrator/report/sweep_charts.h"
#include "orchestrator/report/terminal_figures.h"

namespace regatta {
namespace {

// The policy holds the page to its word: nothing is loaded, nothing is sent.
constexpr char kHead[] =
    "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
    "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">"
    "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; "
    "style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:\">\n";

absl::string_view PageFile(std::string_view name) {
  for (const EmbeddedFile& file : ReportPageFiles()) {
    if (file.name == name) return View(file.text);
  }
  CHECK(false) << name << " is not embedded";
}

// Charts as figures that hold SVG, and as JSON for the script that replaces it.
class Figures {
 public:
  std::string Add(const Chart& chart) {
    json_.push_back(ChartJson(chart));
    return absl::StrCat("<figure class=\"chart\" data-chart=\"", json_.size() - 1, "\">",
                        RenderSvg(chart), "</figure>\n");
  }
  // Nothing for an empty chart.
  std::string AddIfAny(const Chart& chart) { return HasPoints(chart) ? Add(chart) : ""; }

  std::string Json() const { return JsonArray(json_); }

 private:
  std::vector<std::string> json_;
};

std::string ChartsHtml(absl::Span<const ReportedRun> runs, Figures& figures) {
  Chart frontier = FrontierChart(runs);
  frontier.note.clear();  // the page says it above, once
  std::string out = figures.Add(frontier) + "<div class=\"charts\">";
  for (const Chart& chart : {ThroughputChart(runs), TtftChart(runs), TpotChart(runs),
                             TtftDistribution(runs), ItlDistribution(runs)}) {
    out += figures.AddIfAny(chart);
  }
  return out + "</div>\n";
}

// Filled by the script alone: there is one chart per point and aspect.
constexpr char kCourses[] =
    "<section id=\"courses\" hidden><h2>Over time</h2><label>Point <select id=\"course\">"
    "</select></label><div class=\"charts\" id=\"course-charts\"></div></section>\n"
    "<noscript><p class=\"soft\">With scripts, charts are interactive and show each point over "
    "time.</p></noscript>\n";

// Intervals over repeats and users at each speed, as text.
std::string RepeatsHtml(absl::Span<const ReportedRun> runs) {
  std::string out;
  for (size_t r = 0; r < runs.size(); ++r) {
    const std::string figures = SweepFigures(runs[r].sweep);
    if (figures.empty()) continue;
    absl::StrAppend(&out, out.empty() ? "<h2>Repeats and users</h2>\n" : "",
                    runs.size() > 1 ? absl::StrCat("<p>", RunLetter(r), "</p>") : "", "<pre>",
                    EscapeXml(std::string(absl::StripAsciiWhitespace(figures))), "</pre>\n");
  }
  return out;
}

std::string CoursesJson(absl::Span<const ReportedRun> runs) {
  std::vector<std::string> courses;
  for (const PointCourse& course : PointCourses(runs)) {
    std::vector<std::string> charts;
    for (const Chart& chart : course.charts) charts.push_back(ChartJson(chart));
    courses.push_back(absl::StrCat("{\"name\":", JsonString(course.name),
                                   ",\"charts\":", JsonArray(charts), "}"));
  }
  return JsonArray(courses);
}

std::string Scripts(const Figures& figures, absl::Span<const ReportedRun> runs) {
  std::string out =
      absl::StrCat("<script type=\"application/json\" id=\"data\">{\"charts\":", figures.Json(),
                   ",\"courses\":", CoursesJson(runs), "}</script>\n");
  for (const char* name : {"chart.min.js", "charts.js", "main.js"}) {
    out += absl::StrCat("<script>\n", PageFile(name), "</script>\n");
  }
  return out;
}

}  // namespace

std::string RenderHtml(absl::Span<const ReportedRun> runs) {
  const bool single = runs.size() == 1;
  const std::string subject = EscapeXml(SubjectOf(runs));
  std::string out = absl::StrCat(kHead, "<title>Regatta: ", subject, "</title>\n<style>\n",
                                 PageFile("report.css"), "</style></head><body><main>\n<h1>",
                                 single ? "Regatta sweep" : "Regatta sweeps",
                                 "</h1><div class=\"soft\">", subject, "</div>\n");
  const std::string caveat = CaveatOf(runs);
  if (!caveat.empty()) absl::StrAppend(&out, "<div class=\"warn\">", EscapeXml(caveat), "</div>\n");
  Figures figures;
  const std::string charts = ChartsHtml(runs, figures);  // first: fills `figures` for the scripts
  absl::StrAppend(&out, single ? FactsHtml(runs[0].sweep) : RunTableHtml(runs), charts,
                  RecommendationsHtml(runs), PartitionsHtml(runs), HeatMapsHtml(runs), kCourses,
                  "<h2>Points</h2>\n", PointTableHtml(runs), RepeatsHtml(runs),
                  "<h2>Reports</h2>\n", PointReportsHtml(runs), "<h2>Repeat it</h2>\n",
                  ProvenanceHtml(runs), "</main>\n", Scripts(figures, runs));
  return out + "</body></html>\n";
}

}  // namespace regatta
