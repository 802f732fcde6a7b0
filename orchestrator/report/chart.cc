// Palette and ticks; see chart.h.
#include "orchestrator/report/chart.h"

#include <algorithm>
#include <cmath>
#include <iterator>

#include "common/check.h"

namespace regatta {
namespace {

constexpr const char* kColors[] = {"#0072B2", "#D55E00", "#009E73",
                                   "#CC79A7", "#E69F00", "#56B4E9"};
constexpr int kNumColors = std::size(kColors);

// How often the palette was used up before.
int TurnOf(int place) { return place / kNumColors; }

}  // namespace

void AddToSubtitle(const std::string& text, Chart& chart) {
  if (!text.empty() && !chart.subtitle.empty()) chart.subtitle += "; ";
  chart.subtitle += text;
}

bool HasPoints(const Chart& chart) {
  return std::any_of(chart.series.begin(), chart.series.end(),
                     [](const ChartSeries& series) { return !series.points.empty(); });
}

const char* ColorOf(int place) {
  CHECK_GE(place, 0);
  return kColors[place % kNumColors];
}

Mark MarkAt(int place) {
  constexpr Mark kMarks[] = {Mark::kCircle, Mark::kTriangle, Mark::kSquare, Mark::kDiamond};
  return kMarks[TurnOf(place) % std::size(kMarks)];
}

Stroke StrokeAt(int place) {
  constexpr Stroke kStrokes[] = {Stroke::kSolid, Stroke::kDashed, Stroke::kDotted};
  return kStrokes[TurnOf(place) % std::size(kStrokes)];
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

}  // namespace regatta
