// A small line-and-point chart as self-contained SVG text: light and dark, readable in print, every
// point with a tooltip.
#pragma once

#include <string>
#include <vector>

namespace regatta {

struct ChartPoint {
  double x = 0;
  double y = 0;
  std::string label;    // drawn beside the point when not empty
  std::string tooltip;  // shown on hover
  bool hollow = false;  // e.g. dominated points
};

struct ChartSeries {
  std::string name;  // drawn in the legend when there is more than one series
  std::vector<ChartPoint> points;
  bool dashed = false;
};

struct Chart {
  std::string title;
  std::string subtitle;
  std::string note;  // drawn in warning colour under the subtitle, e.g. "not a performance figure"
  std::string x_label;
  std::string y_label;
  bool log_x = false;  // base 2, for concurrency
  std::vector<ChartSeries> series;
  int width = 760;
  int height = 440;
};

// An <svg> element. Series need at least one point between them; an empty chart says so in words.
std::string RenderSvg(const Chart& chart);

// `text` with &, <, >, " and ' escaped for XML and HTML.
std::string EscapeXml(const std::string& text);

// About `count` round numbers that cover [low, high].
std::vector<double> NiceTicks(double low, double high, int count);

}  // namespace regatta
