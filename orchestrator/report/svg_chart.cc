// SVG drawing; see svg_chart.h.
#include "orchestrator/report/svg_chart.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_replace.h"

namespace regatta {
namespace {

// Okabe-Ito colours: told apart by people with any colour vision.
constexpr const char* kColors[] = {"#0072B2", "#D55E00", "#009E73",
                                   "#CC79A7", "#E69F00", "#56B4E9"};
constexpr int kNumColors = 6;
constexpr int kLeft = 78, kRight = 28, kBottom = 56;

constexpr char kStyle[] =
    "<style>.bg{fill:#fff}.grid{stroke:#e4e7eb;stroke-width:1}.axis{stroke:#8a94a0;stroke-width:1}"
    "text{font-family:system-ui,-apple-system,'Segoe UI',Roboto,'DejaVu "
    "Sans',sans-serif;fill:#27303a}"
    ".title{font-size:17px;font-weight:600}.sub,.tick,.key{font-size:12px;fill:#5b6672}"
    ".note{font-size:12px;font-weight:600;fill:#b3261e}.label{font-size:13px}.mark{font-size:11px;"
    "fill:#5b6672}"
    "@media (prefers-color-scheme:dark){.bg{fill:#15191e}.grid{stroke:#2b323a}.axis{stroke:#6c7783}"
    "text{fill:#e6eaee}.sub,.tick,.key,.mark{fill:#a3adb8}.note{fill:#ff8a80}}</style>";

// Maps data to pixels along one axis.
struct Scale {
  double low = 0, high = 1;
  double from = 0, to = 1;
  bool log2 = false;
  double operator()(double value) const {
    const double v = log2 ? std::log2(value) : value;
    return from + (v - low) / (high - low) * (to - from);
  }
};

struct Frame {
  Scale x, y;
  std::vector<double> x_ticks, y_ticks;
  int top = 0;
};

std::string FormatTick(double value) {
  if (std::abs(value) >= 10000) return absl::StrFormat("%gk", value / 1000);
  return absl::StrFormat("%g", value);
}

Frame MakeFrame(const Chart& chart) {
  Frame frame;
  frame.top = 30 + (chart.subtitle.empty() ? 0 : 18) + (chart.note.empty() ? 0 : 18) +
              (chart.series.size() > 1 ? 22 : 0) + 14;
  double min_x = std::numeric_limits<double>::max(), max_x = 0, max_y = 0;
  for (const ChartSeries& series : chart.series) {
    for (const ChartPoint& point : series.points) {
      min_x = std::min(min_x, point.x);
      max_x = std::max(max_x, point.x);
      max_y = std::max(max_y, point.y);
    }
  }
  frame.y_ticks = NiceTicks(0, max_y > 0 ? max_y * 1.06 : 1, 6);
  frame.y = {0, frame.y_ticks.back(), double(chart.height - kBottom), double(frame.top), false};
  if (chart.log_x) {
    const int low = static_cast<int>(std::floor(std::log2(std::max(min_x, 1.0))));
    const int high =
        std::max(static_cast<int>(std::ceil(std::log2(std::max(max_x, 1.0)))), low + 1);
    const int stride = std::max(1, (high - low) / 10);
    for (int t = low; t <= high; t += stride) frame.x_ticks.push_back(std::exp2(t));
    frame.x = {low - 0.15, high + 0.15, double(kLeft), double(chart.width - kRight), true};
  } else {
    frame.x_ticks = NiceTicks(0, max_x > 0 ? max_x * 1.06 : 1, 8);
    frame.x = {0, frame.x_ticks.back(), double(kLeft), double(chart.width - kRight), false};
  }
  return frame;
}

std::string Text(double x, double y, const char* css, const char* anchor, const std::string& text) {
  return absl::StrFormat("<text x=\"%.1f\" y=\"%.1f\" class=\"%s\" text-anchor=\"%s\">%s</text>\n",
                         x, y, css, anchor, EscapeXml(text));
}

std::string DrawHeading(const Chart& chart) {
  int y = 28;
  std::string out = Text(20, y, "title", "start", chart.title);
  if (!chart.subtitle.empty()) out += Text(20, y += 18, "sub", "start", chart.subtitle);
  if (!chart.note.empty()) out += Text(20, y += 18, "note", "start", chart.note);
  if (chart.series.size() < 2) return out;
  y += 20;
  double x = 20;
  for (size_t i = 0; i < chart.series.size(); ++i) {
    absl::StrAppendFormat(
        &out, "<rect x=\"%.1f\" y=\"%d\" width=\"12\" height=\"4\" rx=\"2\" fill=\"%s\"/>\n", x,
        y - 6, kColors[i % kNumColors]);
    out += Text(x + 17, y, "key", "start", chart.series[i].name);
    x += 17 + 7.0 * chart.series[i].name.size() + 18;
  }
  return out;
}

std::string DrawAxes(const Chart& chart, const Frame& frame) {
  std::string out;
  const double bottom = frame.y.from, left = frame.x.from, right = frame.x.to;
  for (double tick : frame.y_ticks) {
    const double y = frame.y(tick);
    absl::StrAppendFormat(
        &out, "<line class=\"grid\" x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\"/>\n", left, y,
        right, y);
    out += Text(left - 8, y + 4, "tick", "end", FormatTick(tick));
  }
  for (double tick : frame.x_ticks) {
    const double x = frame.x(tick);
    absl::StrAppendFormat(&out,
                          "<line class=\"grid\" x1=\"%.1f\" y1=\"%d\" x2=\"%.1f\" y2=\"%.1f\"/>\n",
                          x, frame.top, x, bottom);
    out += Text(x, bottom + 18, "tick", "middle", FormatTick(tick));
  }
  absl::StrAppendFormat(&out,
                        "<line class=\"axis\" x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\"/>\n",
                        left, bottom, right, bottom);
  out += Text((left + right) / 2, chart.height - 14, "label", "middle", chart.x_label);
  absl::StrAppendFormat(&out,
                        "<text transform=\"translate(20 %.1f) rotate(-90)\" class=\"label\" "
                        "text-anchor=\"middle\">%s</text>\n",
                        (frame.top + bottom) / 2, EscapeXml(chart.y_label));
  return out;
}

std::string DrawSeries(const ChartSeries& series, const char* color, const Frame& frame) {
  std::string path, marks;
  for (const ChartPoint& point : series.points) {
    const double x = frame.x(point.x), y = frame.y(point.y);
    absl::StrAppendFormat(&path, "%s%.1f %.1f", path.empty() ? "M" : " L", x, y);
    absl::StrAppendFormat(
        &marks,
        "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"4.5\" fill=\"%s\" fill-opacity=\"%s\" stroke=\"%s\" "
        "stroke-width=\"2\"><title>%s</title></circle>\n",
        x, y, color, point.hollow ? "0" : "1", color, EscapeXml(point.tooltip));
    if (!point.label.empty()) marks += Text(x + 8, y - 8, "mark", "start", point.label);
  }
  return absl::StrFormat("<path d=\"%s\" fill=\"none\" stroke=\"%s\" stroke-width=\"2\"%s/>\n%s",
                         path, color, series.dashed ? " stroke-dasharray=\"5 4\"" : "", marks);
}

bool HasPoints(const Chart& chart) {
  return std::any_of(chart.series.begin(), chart.series.end(),
                     [](const ChartSeries& series) { return !series.points.empty(); });
}

}  // namespace

std::string EscapeXml(const std::string& text) {
  return absl::StrReplaceAll(
      text, {{"&", "&amp;"}, {"<", "&lt;"}, {">", "&gt;"}, {"\"", "&quot;"}, {"'", "&#39;"}});
}

std::vector<double> NiceTicks(double low, double high, int count) {
  const double span = std::max(high - low, 1e-9);
  const double raw = span / count;
  const double magnitude = std::pow(10, std::floor(std::log10(raw)));
  double step = 10 * magnitude;
  for (double nice : {1.0, 2.0, 2.5, 5.0}) {
    if (nice * magnitude >= raw) {
      step = nice * magnitude;
      break;
    }
  }
  std::vector<double> ticks;
  const int first = static_cast<int>(std::floor(low / step));
  const int last = static_cast<int>(std::ceil(high / step - 1e-9));
  for (int i = first; i <= last; ++i) ticks.push_back(i * step);
  return ticks;
}

std::string RenderSvg(const Chart& chart) {
  std::string out = absl::StrFormat(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" width=\"%d\" height=\"%d\" "
      "role=\"img\" "
      "aria-label=\"%s\">%s\n<rect class=\"bg\" width=\"100%%\" height=\"100%%\" rx=\"10\"/>\n",
      chart.width, chart.height, chart.width, chart.height, EscapeXml(chart.title), kStyle);
  out += DrawHeading(chart);
  if (!HasPoints(chart)) {
    return out +
           Text(chart.width / 2.0, chart.height / 2.0, "label", "middle", "no completed points") +
           "</svg>\n";
  }
  const Frame frame = MakeFrame(chart);
  out += DrawAxes(chart, frame);
  for (size_t i = 0; i < chart.series.size(); ++i) {
    out += DrawSeries(chart.series[i], kColors[i % kNumColors], frame);
  }
  return out + "</svg>\n";
}

}  // namespace regatta
