// SVG drawing; see svg_chart.h.
#include "orchestrator/report/svg_chart.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"

namespace regatta {
namespace {

constexpr int kLeft = 78, kRight = 28, kBottom = 56, kMargin = 20;
constexpr double kLetter = 6.6, kMarkLetter = 6.2;  // widths of 12 and 11 px text, about

constexpr double kSmallest = 1.0 / 1024;  // of a logarithmic axis

constexpr char kStyle[] =
    "<style>.bg{fill:#fff}.grid{stroke:#e4e7eb;stroke-width:1}.axis{stroke:#8a94a0;stroke-width:1}"
    "text{font-family:system-ui,-apple-system,'Segoe UI',Roboto,'DejaVu "
    "Sans',sans-serif;fill:#27303a}"
    ".title{font-size:17px;font-weight:600}.sub,.tick,.key{font-size:12px;fill:#5b6672}"
    ".note{font-size:12px;font-weight:600;fill:#b3261e}.label{font-size:13px}.mark{font-size:11px;"
    "fill:#5b6672}.neutral{stroke:#5b6672}.hollow{fill:#fff}"
    "@media (prefers-color-scheme:dark){.bg,.hollow{fill:#15191e}.grid{stroke:#2b323a}"
    ".axis{stroke:#6c7783}text{fill:#e6eaee}.sub,.tick,.key,.mark{fill:#a3adb8}"
    ".note{fill:#ff8a80}.neutral{stroke:#a3adb8}}</style>";

// Maps data to pixels along one axis.
struct Scale {
  double low = 0, high = 1;
  double from = 0, to = 1;
  bool log2 = false;
  double operator()(double value) const {
    const double v = log2 ? std::log2(std::max(value, kSmallest)) : value;
    return from + (v - low) / (high - low) * (to - from);
  }
};

struct Frame {
  Scale x, y;
  std::vector<double> x_ticks, y_ticks;
  double top = 0;
};

// What is written above the plot, and how much room it takes.
struct Heading {
  std::string svg;
  double height = 0;
};

std::string FormatTick(double value) {
  if (std::abs(value) >= 10000) return absl::StrFormat("%gk", value / 1000);
  return absl::StrFormat("%g", value);
}

struct Extent {
  double min_x = std::numeric_limits<double>::max(), max_x = 0, max_y = 0;
};

Extent ExtentOf(const Chart& chart) {
  Extent extent;
  for (const ChartSeries& series : chart.series) {
    for (const ChartPoint& point : series.points) {
      extent.min_x = std::min(extent.min_x, point.x);
      extent.max_x = std::max(extent.max_x, point.x);
      extent.max_y = std::max(extent.max_y, point.y);
    }
  }
  return extent;
}

Frame MakeFrame(const Chart& chart, double top) {
  const Extent extent = ExtentOf(chart);
  Frame frame;
  frame.top = top;
  const double high_y = chart.y_max > 0 ? chart.y_max : extent.max_y * 1.06;
  frame.y_ticks = NiceTicks(0, high_y > 0 ? high_y : 1, 6);
  frame.y = {0, frame.y_ticks.back(), double(chart.height - kBottom), top, false};
  const double left = kLeft, right = chart.width - kRight;
  if (chart.log_x) {
    const int low = static_cast<int>(std::floor(std::log2(std::max(extent.min_x, kSmallest))));
    const int high = std::max(
        static_cast<int>(std::ceil(std::log2(std::max(extent.max_x, kSmallest)))), low + 1);
    const int stride = 1 + (high - low) / 11;
    for (int t = low; t <= high; t += stride) frame.x_ticks.push_back(std::exp2(t));
    frame.x = {low - 0.15, high + 0.15, left, right, true};
  } else {
    const double high_x = chart.x_max > 0 ? chart.x_max : extent.max_x * 1.06;
    frame.x_ticks = NiceTicks(0, high_x > 0 ? high_x : 1, 8);
    frame.x = {0, frame.x_ticks.back(), left, right, false};
  }
  return frame;
}

// `text` in lines of at most `letters`, broken between words; UTF-8 counts by bytes.
std::vector<std::string> Wrap(const std::string& text, size_t letters) {
  std::vector<std::string> lines;
  for (absl::string_view word : absl::StrSplit(text, ' ', absl::SkipEmpty())) {
    if (!lines.empty() && lines.back().size() + 1 + word.size() <= letters) {
      absl::StrAppend(&lines.back(), " ", word);
    } else {
      lines.emplace_back(word);
    }
  }
  return lines;
}

const char* DashOf(Stroke stroke) {
  switch (stroke) {
    case Stroke::kDashed:
      return " stroke-dasharray=\"7 4\"";
    case Stroke::kDotted:
      return " stroke-dasharray=\"2 4\"";
    case Stroke::kSolid:
      break;
  }
  return "";
}

// Attributes that give a line or a mark its series' colour.
std::string StrokeOf(const ChartSeries& series) {
  if (series.color == kNeutralColor) return "class=\"neutral\"";
  return absl::StrFormat("stroke=\"%s\"", ColorOf(series.color));
}

// Attributes of a mark's inside.
std::string FillOf(const ChartSeries& series, bool hollow) {
  if (hollow) return "class=\"hollow\"";
  return absl::StrFormat("fill=\"%s\"", ColorOf(series.color));
}

// The mark of `series` around a place, all of about the same area.
std::string MarkSvg(const ChartSeries& series, double x, double y, bool hollow,
                    const std::string& tooltip) {
  const auto polygon = [&](std::initializer_list<std::pair<double, double>> corners) {
    std::string points;
    for (const auto& [dx, dy] : corners)
      absl::StrAppendFormat(&points, "%.1f,%.1f ", x + dx, y + dy);
    return absl::StrFormat("polygon points=\"%s\"", absl::StripTrailingAsciiWhitespace(points));
  };
  std::string shape = absl::StrFormat("circle cx=\"%.1f\" cy=\"%.1f\" r=\"4.5\"", x, y);
  switch (MarkAt(series.color)) {
    case Mark::kTriangle:
      shape = polygon({{0, -5.6}, {5.2, 3.9}, {-5.2, 3.9}});
      break;
    case Mark::kSquare:
      shape = polygon({{-4, -4}, {4, -4}, {4, 4}, {-4, 4}});
      break;
    case Mark::kDiamond:
      shape = polygon({{0, -5.6}, {5.6, 0}, {0, 5.6}, {-5.6, 0}});
      break;
    case Mark::kCircle:
      break;
  }
  const std::string name = shape.substr(0, shape.find(' '));
  return absl::StrFormat("<%s %s %s stroke-width=\"2\"><title>%s</title></%s>\n", shape,
                         FillOf(series, hollow), StrokeOf(series), EscapeXml(tooltip), name);
}

// One key per series from y on, in as many rows as it takes; the y below them.
double DrawLegend(const Chart& chart, double y, std::string& out) {
  double x = kMargin;
  y += 20;
  for (const ChartSeries& series : chart.series) {
    if (!series.in_legend) continue;
    const double width = 27 + kLetter * series.name.size() + 18;
    if (x > kMargin && x + width > chart.width - kMargin) {
      x = kMargin;
      y += 18;
    }
    absl::StrAppendFormat(&out,
                          "<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" %s "
                          "stroke-width=\"3\"%s/>\n",
                          x, y - 4, x + 21, y - 4, StrokeOf(series), DashOf(series.stroke));
    if (series.marks) out += MarkSvg(series, x + 10.5, y - 4, /*hollow=*/false, series.name);
    out += SvgText(x + 27, y, "key", "start", series.name);
    x += width;
  }
  return y;
}

Heading DrawHeading(const Chart& chart) {
  double y = 28;
  Heading heading = {SvgText(kMargin, y, "title", "start", chart.title)};
  const size_t letters = (chart.width - 2 * kMargin) / kLetter;
  for (const std::string& line : Wrap(chart.subtitle, letters)) {
    heading.svg += SvgText(kMargin, y += 18, "sub", "start", line);
  }
  for (const std::string& line : Wrap(chart.note, letters)) {
    heading.svg += SvgText(kMargin, y += 18, "note", "start", line);
  }
  if (chart.series.size() > 1) y = DrawLegend(chart, y, heading.svg);
  heading.height = y + 16;
  return heading;
}

std::string DrawAxes(const Chart& chart, const Frame& frame) {
  std::string out;
  const double bottom = frame.y.from, left = frame.x.from, right = frame.x.to;
  for (double tick : frame.y_ticks) {
    const double y = frame.y(tick);
    absl::StrAppendFormat(
        &out, "<line class=\"grid\" x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\"/>\n", left, y,
        right, y);
    out += SvgText(left - 8, y + 4, "tick", "end", FormatTick(tick));
  }
  for (double tick : frame.x_ticks) {
    const double x = frame.x(tick);
    absl::StrAppendFormat(
        &out, "<line class=\"grid\" x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\"/>\n", x,
        frame.top, x, bottom);
    out += SvgText(x, bottom + 18, "tick", "middle", FormatTick(tick));
  }
  absl::StrAppendFormat(&out,
                        "<line class=\"axis\" x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\"/>\n",
                        left, bottom, right, bottom);
  out += SvgText((left + right) / 2, chart.height - 14, "label", "middle", chart.x_label);
  absl::StrAppendFormat(&out,
                        "<text transform=\"translate(20 %.1f) rotate(-90)\" class=\"label\" "
                        "text-anchor=\"middle\">%s</text>\n",
                        (frame.top + bottom) / 2, EscapeXml(chart.y_label));
  return out;
}

std::string DrawLine(const ChartSeries& series, const Frame& frame) {
  std::string path;
  for (const ChartPoint& point : series.points) {
    absl::StrAppendFormat(&path, "%s%.1f %.1f", path.empty() ? "M" : " L", frame.x(point.x),
                          frame.y(point.y));
  }
  return absl::StrFormat("<path d=\"%s\" fill=\"none\" %s stroke-width=\"2\"%s/>\n", path,
                         StrokeOf(series), DashOf(series.stroke));
}

std::string DrawMarks(const ChartSeries& series, const Frame& frame) {
  std::string marks;
  for (const ChartPoint& point : series.points) {
    marks += MarkSvg(series, frame.x(point.x), frame.y(point.y), point.hollow, point.tooltip);
  }
  return marks;
}

struct Box {
  double left, top, right, bottom;
  bool Covers(const Box& other) const {
    return left < other.right && other.left < right && top < other.bottom && other.top < bottom;
  }
};

std::vector<Box> MarkBoxes(const Chart& chart, const Frame& frame) {
  constexpr double kHalf = 6;
  std::vector<Box> boxes;
  for (const ChartSeries& series : chart.series) {
    if (!series.marks) continue;
    for (const ChartPoint& point : series.points) {
      const double x = frame.x(point.x), y = frame.y(point.y);
      boxes.push_back({x - kHalf, y - kHalf, x + kHalf, y + kHalf});
    }
  }
  return boxes;
}

// The label of `point` where it covers nothing of `taken`, to which it then belongs; else empty.
std::string PlaceLabel(const Chart& chart, const Frame& frame, const ChartPoint& point,
                       std::vector<Box>& taken) {
  constexpr double kAscent = 9, kDescent = 3;
  struct Place {
    const char* anchor;
    double left;  // part of the width that lies left of x
    double dx, dy;
  };
  // Right, left, above, below; the first two off the line that falls through the mark.
  constexpr Place kPlaces[] = {
      {"start", 0, 8, -8}, {"end", 1, -8, 16}, {"middle", 0.5, 0, -12}, {"middle", 0.5, 0, 20}};
  const double width = kMarkLetter * point.label.size();
  for (const Place& place : kPlaces) {
    const double x = frame.x(point.x) + place.dx, y = frame.y(point.y) + place.dy;
    const double left = x - place.left * width;
    const Box box = {left, y - kAscent, left + width, y + kDescent};
    const bool inside = box.left >= frame.x.from && box.right <= chart.width &&
                        box.top >= frame.top && box.bottom <= frame.y.from;
    if (!inside || std::any_of(taken.begin(), taken.end(),
                               [&](const Box& other) { return box.Covers(other); })) {
      continue;
    }
    taken.push_back(box);
    return SvgText(x, y, "mark", place.anchor, point.label);
  }
  return "";
}

// Labels of filled marks first; those without room are left out.
std::string DrawLabels(const Chart& chart, const Frame& frame) {
  std::vector<Box> taken = MarkBoxes(chart, frame);
  std::string out;
  for (bool hollow : {false, true}) {
    for (const ChartSeries& series : chart.series) {
      for (const ChartPoint& point : series.points) {
        if (point.label.empty() || point.hollow != hollow) continue;
        out += PlaceLabel(chart, frame, point, taken);
      }
    }
  }
  return out;
}

}  // namespace

std::string EscapeXml(const std::string& text) {
  return absl::StrReplaceAll(
      text, {{"&", "&amp;"}, {"<", "&lt;"}, {">", "&gt;"}, {"\"", "&quot;"}, {"'", "&#39;"}});
}

std::string SvgText(double x, double y, const char* css, const char* anchor,
                    const std::string& text) {
  return absl::StrFormat("<text x=\"%.1f\" y=\"%.1f\" class=\"%s\" text-anchor=\"%s\">%s</text>\n",
                         x, y, css, anchor, EscapeXml(text));
}

std::string RenderSvg(const Chart& chart) {
  std::string out = absl::StrFormat(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" width=\"%d\" height=\"%d\" "
      "role=\"img\" "
      "aria-label=\"%s\">%s\n<rect class=\"bg\" width=\"100%%\" height=\"100%%\" rx=\"10\"/>\n",
      chart.width, chart.height, chart.width, chart.height, EscapeXml(chart.title), kStyle);
  const Heading heading = DrawHeading(chart);
  out += heading.svg;
  if (!HasPoints(chart)) {
    return out +
           SvgText(chart.width / 2.0, chart.height / 2.0, "label", "middle",
                   "no completed points") +
           "</svg>\n";
  }
  const Frame frame = MakeFrame(chart, heading.height);
  out += DrawAxes(chart, frame);
  for (const ChartSeries& series : chart.series) {
    if (series.line) out += DrawLine(series, frame);
  }
  for (const ChartSeries& series : chart.series) {
    if (series.marks) out += DrawMarks(series, frame);
  }
  out += DrawLabels(chart, frame);
  return out + "</svg>\n";
}

}  // namespace regatta
