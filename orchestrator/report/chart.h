// What a chart shows, apart from how it is drawn: the same one as SVG and as an interactive canvas.
#pragma once

#include <string>
#include <vector>

namespace regatta {

struct ChartPoint {
  double x = 0;
  double y = 0;
  std::string label;    // drawn beside the point when not empty and where there is room
  std::string tooltip;  // shown on hover
  bool hollow = false;  // e.g. dominated points
};

enum class Stroke { kSolid, kDashed, kDotted };
enum class Mark { kCircle, kTriangle, kSquare, kDiamond };

// Colour of a line that belongs to no one series, such as a union frontier.
inline constexpr int kNeutralColor = -1;

struct ChartSeries {
  std::string name;       // in the legend when there is more than one series
  bool in_legend = true;  // false: it goes with the one before of the same name
  std::vector<ChartPoint> points;
  int color = 0;  // place among the series, which colour and mark follow from; or kNeutralColor
  Stroke stroke = Stroke::kSolid;
  bool line = true;   // points are joined
  bool marks = true;  // points are marked
};

struct Chart {
  std::string title;
  std::string subtitle;
  std::string note;  // drawn in warning colour under the subtitle, e.g. "not a performance figure"
  std::string x_label;
  std::string y_label;
  bool log_x = false;           // base 2, for concurrency and latencies
  double x_max = 0, y_max = 0;  // of the axes; 0 = that of the data
  std::vector<ChartSeries> series;
  int width = 760;
  int height = 440;
};

// Puts `text` after what the subtitle says already; nothing where it is empty.
void AddToSubtitle(const std::string& text, Chart& chart);

// Of an empty chart is said in words that there is nothing.
bool HasPoints(const Chart& chart);

// How the series at `place` >= 0 looks. Colours ("#0072B2": Okabe and Ito's palette, told apart
// with any colour vision) repeat after six; then the next mark begins, and the next stroke where a
// chart has no other use for strokes. Marks repeat after four, strokes after three turns of the
// palette.
const char* ColorOf(int place);
Mark MarkAt(int place);
Stroke StrokeAt(int place);

// About `count` round numbers that cover [low, high].
std::vector<double> NiceTicks(double low, double high, int count);

}  // namespace regatta
