// Rows, an axis of changes, and marks; see forest_plot.h.
#include "orchestrator/compare/forest_plot.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "orchestrator/compare/compared_metrics.h"
#include "orchestrator/report/svg_chart.h"

namespace regatta {
namespace {

constexpr double kWidth = 900, kLeft = 200, kRight = 210, kTop = 62, kRow = 22;

constexpr char kStyle[] =
    "<style>.bg{fill:#fff}.grid{stroke:#e4e7eb}.axis{stroke:#8a94a0}.band{fill:#eef1f4}"
    "text{font:12px system-ui,'DejaVu Sans',sans-serif;fill:#27303a}.title{font-size:17px;"
    "font-weight:600}.load{font-weight:600}.sub{fill:#5b6672}.better{fill:#0072B2;stroke:#0072B2}"
    ".worse{fill:#D55E00;stroke:#D55E00}.other{fill:#8a94a0;stroke:#8a94a0}"
    "@media (prefers-color-scheme:dark){.bg{fill:#15191e}.grid{stroke:#2b323a}.band{fill:#20262d}"
    "text{fill:#e6eaee}.sub{fill:#a3adb8}}</style>";

struct Row {
  std::string load;  // heading; empty for a figure
  const ComparedFigure* figure = nullptr;
};

// Of several layouts one heading for each: its loads taken together where it has several.
bool IsShown(const Comparison& comparison, const ComparedLoad& load) {
  if (load.arm().empty() || load.all_loads()) return true;
  for (const ComparedLoad& other : comparison.loads()) {
    if (other.arm() == load.arm() && other.all_loads()) return false;
  }
  return true;
}

std::vector<Row> RowsOf(const Comparison& comparison) {
  std::vector<Row> rows;
  for (const ComparedLoad& load : comparison.loads()) {
    if (!IsShown(comparison, load)) continue;
    rows.push_back({load.load(), nullptr});
    for (const ComparedFigure& figure : load.figures()) {
      const ComparedMetric* metric = FindComparedMetric(figure.metric());
      const bool shown = metric != nullptr && metric->headline && figure.ratio() > 0;
      if (shown) rows.push_back({"", &figure});
    }
  }
  return rows;
}

double Percent(double ratio) { return 100 * (ratio - 1); }

// Half of the axis, in logarithms of ratios, where a half lies as far left as a double lies right:
// what holds every interval, at least twice the margin.
double ReachOf(const std::vector<Row>& rows, double margin) {
  double reach = std::log(1 + std::max(0.01, 2 * margin));
  for (const Row& row : rows) {
    if (row.figure == nullptr) continue;
    reach = std::max(reach, std::abs(std::log(row.figure->ratio())));
    if (row.figure->confidence() == 0) continue;
    reach = std::max(
        {reach, std::abs(std::log(row.figure->low())), std::abs(std::log(row.figure->high()))});
  }
  return 1.05 * reach;
}

double PlaceOf(double ratio, double reach) {
  return kLeft + (std::log(ratio) / reach + 1) / 2 * (kWidth - kLeft - kRight);
}

// A square is better, a diamond worse, a circle neither.
std::string MarkOf(const ComparedFigure& figure, double x, double y) {
  switch (figure.verdict()) {
    case VERDICT_BETTER:
      return absl::StrFormat(
          "<rect class=\"better\" x=\"%.1f\" y=\"%.1f\" width=\"9\" height=\"9\"/>\n", x - 4.5,
          y - 4.5);
    case VERDICT_WORSE:
      return absl::StrFormat("<path class=\"worse\" d=\"M%.1f %.1fl6 6l-6 6l-6 -6z\"/>\n", x,
                             y - 6);
    default:
      return absl::StrFormat("<circle class=\"other\" cx=\"%.1f\" cy=\"%.1f\" r=\"4.5\"/>\n", x, y);
  }
}

const char* ClassOf(Verdict verdict) {
  if (verdict == VERDICT_BETTER) return "better";
  return verdict == VERDICT_WORSE ? "worse" : "other";
}

std::string FigureRow(const ComparedFigure& figure, double y, double reach) {
  std::string svg = SvgText(kLeft - 14, y + 4, "", "end", figure.metric());
  std::string change = absl::StrFormat("%+.2f %%", Percent(figure.ratio()));
  if (figure.confidence() > 0) {
    absl::StrAppendFormat(&svg,
                          "<line class=\"%s\" stroke-width=\"2\" x1=\"%.1f\" x2=\"%.1f\" "
                          "y1=\"%.1f\" y2=\"%.1f\"/>\n",
                          ClassOf(figure.verdict()), PlaceOf(figure.low(), reach),
                          PlaceOf(figure.high(), reach), y, y);
    absl::StrAppendFormat(&change, " [%+.2f, %+.2f]", Percent(figure.low()),
                          Percent(figure.high()));
  }
  absl::StrAppend(&svg, MarkOf(figure, PlaceOf(figure.ratio(), reach), y),
                  SvgText(kWidth - kRight + 12, y + 4, "sub", "start", change));
  return svg;
}

std::string GridLine(double ratio, double reach, double bottom) {
  const double x = PlaceOf(ratio, reach);
  const std::string label =
      ratio == 1 ? "0" : absl::StrFormat("%+g %%", std::round(Percent(ratio) * 10) / 10);
  return absl::StrFormat("<line class=\"%s\" x1=\"%.1f\" x2=\"%.1f\" y1=\"%.1f\" y2=\"%.1f\"/>\n",
                         ratio == 1 ? "axis" : "grid", x, x, kTop, bottom) +
         SvgText(x, bottom + 16, "sub", "middle", label);
}

// The margin as a band, and lines at changes as far apart as their labels need.
std::string Grid(double reach, double margin, double bottom) {
  constexpr double kRatios[] = {1.01, 1.02, 1.05, 1.1, 1.2, 1.5, 2, 3, 5, 10, 30, 100};
  constexpr double kLabel = 56;
  const double from = PlaceOf(1 / (1 + margin), reach), to = PlaceOf(1 + margin, reach);
  std::string svg = absl::StrFormat(
      "<rect class=\"band\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\"/>\n", from, kTop,
      to - from, bottom - kTop);
  svg += GridLine(1, reach, bottom);
  double last = PlaceOf(1, reach);
  for (const double ratio : kRatios) {
    const double x = PlaceOf(ratio, reach);
    if (x > kWidth - kRight || x - last < kLabel) continue;
    svg += GridLine(ratio, reach, bottom) + GridLine(1 / ratio, reach, bottom);
    last = x;
  }
  return svg;
}

std::string SideText(const char* name, const ComparedSide& side, double y) {
  return SvgText(20, y, "sub", "start", absl::StrCat(name, ": ", side.subject()));
}

}  // namespace

std::string ForestPlot(const Comparison& comparison) {
  const std::vector<Row> rows = RowsOf(comparison);
  const double reach = ReachOf(rows, comparison.margin());
  const double bottom = kTop + kRow * (rows.size() + 0.5);
  std::string svg = absl::StrFormat(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %.0f %.0f\" role=\"img\">\n%s"
      "<rect class=\"bg\" width=\"100%%\" height=\"100%%\"/>\n",
      kWidth, bottom + 66, kStyle);
  absl::StrAppend(
      &svg, SvgText(20, 28, "title", "start", "Change of B against A"),
      SvgText(20, 48, "sub", "start",
              "95 % intervals; square: better, diamond: worse, circle: same or unclear"),
      Grid(reach, comparison.margin(), bottom));
  double y = kTop;
  for (const Row& row : rows) {
    y += kRow;
    svg += row.figure == nullptr ? SvgText(20, y + 4, "load", "start", row.load)
                                 : FigureRow(*row.figure, y, reach);
  }
  return absl::StrCat(svg, SideText("A", comparison.a(), bottom + 38),
                      SideText("B", comparison.b(), bottom + 56), "</svg>\n");
}

}  // namespace regatta
