// The throughput/speed frontier drawn in a terminal.
#pragma once

#include <string>
#include <vector>

#include "proto/results.pb.h"

namespace regatta {

// What is drawn of a measured point.
struct PlotPoint {
  double x = 0, y = 0;
  std::string label;         // ASCII, beside the mark where there is room
  bool on_frontier = false;  // filled
};
using PlotLine = std::vector<PlotPoint>;  // joined in this order

// The completed points of a sweep, a line for each layout and precision (SeriesInFull).
std::vector<PlotLine> PlotLinesOf(const SweepReport& sweep);

// Lines of at most `width` columns and `rows` + 4 in number: a title, and the plot with its axes
// from zero. None without a point above zero. `color`: the drawing is coloured by escape sequences.
std::vector<std::string> RenderFrontierPlot(const std::vector<PlotLine>& series, int width,
                                            int rows, bool color);

}  // namespace regatta
