// Axes, lines and marks; see frontier_plot.h.
#include "orchestrator/report/frontier_plot.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "orchestrator/report/chart.h"
#include "orchestrator/report/frontier.h"
#include "orchestrator/report/point_series.h"
#include "orchestrator/statistics/load_name.h"
#include "orchestrator/terminal/braille_canvas.h"

namespace regatta {
namespace {

constexpr int kAxisWidth = 10;
constexpr char kCyan[] = "\x1b[36m", kReset[] = "\x1b[0m";

// Data to dots, both axes from zero.
struct PlotScale {
  std::vector<double> x_ticks, y_ticks;
  int width, height;
  int X(double x) const { return int(std::lround(x / x_ticks.back() * (width - 1))); }
  int Y(double y) const { return int(std::lround((1 - y / y_ticks.back()) * (height - 1))); }
};

void Draw(const std::vector<PlotLine>& series, const PlotScale& scale, BrailleCanvas& canvas) {
  for (const PlotLine& line : series) {
    for (size_t i = 1; i < line.size(); ++i) {
      canvas.Line(scale.X(line[i - 1].x), scale.Y(line[i - 1].y), scale.X(line[i].x),
                  scale.Y(line[i].y));
    }
  }
  const auto for_each = [&series](const auto& act) {
    for (const PlotLine& line : series) std::for_each(line.begin(), line.end(), act);
  };
  // All marks before any label; in one place the frontier's mark lies above, and its label is
  // first.
  for (const bool on_frontier : {false, true}) {
    for_each([&](const PlotPoint& point) {
      if (point.on_frontier != on_frontier) return;
      canvas.Mark(scale.X(point.x), scale.Y(point.y), on_frontier ? "●" : "○");
    });
  }
  for (const bool on_frontier : {true, false}) {
    for_each([&](const PlotPoint& point) {
      if (point.on_frontier != on_frontier) return;
      canvas.Label(scale.X(point.x), scale.Y(point.y), point.label);
    });
  }
}

// The horizontal axis and its numbers, of which those without room for a space are left out.
std::vector<std::string> XAxis(const PlotScale& scale) {
  const int columns = scale.width / 2;
  std::string axis, numbers(columns, ' ');
  for (int i = 0; i < columns; ++i) axis += "─";
  int free = 0;  // the first column that is
  for (double value : scale.x_ticks) {
    const std::string text = absl::StrFormat("%g", value);
    const int size = static_cast<int>(text.size());
    const int column = std::clamp(scale.X(value) / 2, 0, std::max(0, columns - size));
    if (column < free) continue;
    numbers.replace(column, size, text);
    free = column + size + 1;
  }
  return {absl::StrFormat("%*s └%s", kAxisWidth, "", axis),
          absl::StrFormat("%*s  %s", kAxisWidth, "", numbers)};
}

// As SeriesInFull: points of a round are drawn only where there are no others.
bool IsDrawn(const SweepReport& sweep, const PointReport& point) {
  if (!HasCompleted(point)) return false;
  return point.regatta().halving_round() == 0 ||
         std::all_of(sweep.points().begin(), sweep.points().end(),
                     [](const PointReport& other) { return other.regatta().halving_round() > 0; });
}

}  // namespace

std::vector<PlotLine> PlotLinesOf(const SweepReport& sweep) {
  const std::vector<bool> on_frontier = OnFrontier(sweep);
  std::vector<PlotLine> lines;
  std::map<std::string, size_t> by_kind;
  for (int i = 0; i < sweep.points_size(); ++i) {
    const PointReport& point = sweep.points(i);
    if (!IsDrawn(sweep, point)) continue;
    const std::string kind = absl::StrCat(point.regatta().layout(), "\n", PrecisionOf(point));
    const auto [line, is_new] = by_kind.emplace(kind, lines.size());
    if (is_new) lines.emplace_back();
    lines[line->second].push_back({UserSpeed(point), GpuThroughput(point),
                                   LoadLabel(LoadOf(point.regatta())), on_frontier[i]});
  }
  return lines;
}

std::vector<std::string> RenderFrontierPlot(const std::vector<PlotLine>& series, int width,
                                            int rows, bool color) {
  double max_x = 0, max_y = 0;
  for (const PlotLine& line : series) {
    for (const PlotPoint& point : line) {
      max_x = std::max(max_x, point.x);
      max_y = std::max(max_y, point.y);
    }
  }
  if (max_x <= 0 || max_y <= 0) return {};
  BrailleCanvas canvas(std::clamp(width - kAxisWidth - 2, 20, 110), rows);
  const PlotScale scale = {NiceTicks(0, max_x * 1.05, 5), NiceTicks(0, max_y * 1.05, rows / 3),
                           canvas.width(), canvas.height()};
  Draw(series, scale, canvas);
  std::vector<std::string> lines = {absl::StrFormat("%*s tok/s/GPU by load", kAxisWidth, "")};
  for (int row = 0; row < rows; ++row) {
    std::string tick;
    for (double value : scale.y_ticks) {
      if (scale.Y(value) / 4 == row) tick = absl::StrFormat("%g", value);
    }
    lines.push_back(absl::StrFormat("%*s %s%s%s%s", kAxisWidth, tick, tick.empty() ? "│" : "┤",
                                    color ? kCyan : "", canvas.Row(row), color ? kReset : ""));
  }
  for (std::string& line : XAxis(scale)) lines.push_back(std::move(line));
  lines.push_back(absl::StrFormat("%*s  tok/s/user", kAxisWidth, ""));
  return lines;
}

}  // namespace regatta
